"""PathLens: how a convolutional network computes, one path of filters for every image."""

from pathlens._version import __version__

__all__ = ["__version__"]
