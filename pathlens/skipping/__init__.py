"""The skipping room: inference that runs only the filters on the path."""

from pathlens.skipping.network import SkippingNetwork, skip

__all__ = ["SkippingNetwork", "skip"]
