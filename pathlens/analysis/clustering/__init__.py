"""Clusters of image paths, and what is in them."""
