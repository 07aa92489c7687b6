"""Maps: images laid out so that those with alike paths lie together."""
