"""What a benchmark's table says of the machine it was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

from pathlens.devices import processor


def machine(threads: int | str, *packages: str, name: str = "") -> str:
    """Processor or accelerator, cores, threads and versions, in one line.

    Args:
        threads: Number of threads, or "all".
        packages: Distributions whose versions matter.
        name: Of an accelerator; "" for the processor.
    """
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{name or processor()}, {os.cpu_count()} cores, {threads} threads, "
        f"Python {platform.python_version()}, {versions}"
    )
