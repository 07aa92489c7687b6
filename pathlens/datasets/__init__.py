"""The datasets room: embedded sets, image folders, splits, concept tables."""
