"""A small recording that every installation carries, to look at before anything is trained."""

from pathlens.examples.shipped import open_example

__all__ = ["open_example"]
