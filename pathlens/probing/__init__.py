"""The probing room: what needs the network again; writes tables beside the recording."""

from pathlens.probing.path_swap import PathSwap, path_swap

__all__ = ["PathSwap", "path_swap"]
