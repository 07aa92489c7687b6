"""`python -m pathlens` is `pathlens`."""

from pathlens.cli import main

main()
