"""The decoupling room: gating modules, semantic hashing, losses and the cost of a path."""
