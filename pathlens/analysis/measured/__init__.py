"""What probing measured, read from the tables beside a recording."""
