"""The training room: the loop, recipes and checkpoints."""
