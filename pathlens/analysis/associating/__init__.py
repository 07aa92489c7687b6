"""Combinations of filters that images with a concept are routed through."""
