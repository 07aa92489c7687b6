"""What a table of times says of the machine it was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def machine(device: torch.device) -> dict[str, str | int]:
    """Device, processor, cores and versions: what a time hangs on."""
    found: dict[str, str | int] = {
        "device": str(device),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
    }
    if device.type == "cuda":
        found["accelerator"] = torch.cuda.get_device_name(device)
    found.update({package: version(package) for package in ("torch", "numba", "numpy")})
    return found


def _processor() -> str:
    """Name of the processor, as the system knows it."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
