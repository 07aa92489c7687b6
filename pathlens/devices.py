"""What devices there are: whether one can be used, and what the processor is called."""

from __future__ import annotations

import platform
from pathlib import Path

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


def processor() -> str:
    """Name of the processor, as the system knows it."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
