"""Checking that a device can be used, before any work is done."""

from __future__ import annotations

from pathlens.errors import PathLensError, first_line


def check_device(device: str) -> None:
    """Make sure that tensors can live and be read back on `device`.

    Raises:
        PathLensError: If they cannot.
    """
    import torch

    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # every backend has its own
        raise PathLensError(
            f"Device '{device}' cannot be used here ({first_line(error)}): try --device cpu."
        ) from error
