"""The command line: one file a command; each parses, calls one public function, prints."""

from pathlens.cli.app import main

__all__ = ["main"]
