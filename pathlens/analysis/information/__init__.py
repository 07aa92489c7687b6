"""What gates and whole paths say about the class."""
