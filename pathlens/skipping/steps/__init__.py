"""The steps of a plan: one kind of operation a file."""
