"""What a table of times says of the machine it was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from pathlens.devices import processor


def machine(device: torch.device) -> dict[str, str | int]:
    """Device, processor, cores and versions: what a time hangs on."""
    found: dict[str, str | int] = {
        "device": str(device),
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
    }
    if device.type == "cuda":
        found["accelerator"] = torch.cuda.get_device_name(device)
    found.update({package: version(package) for package in ("torch", "numba", "numpy")})
    return found
