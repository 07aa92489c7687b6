"""Attacked images of a finished cell in a file, so that a run goes on where it was interrupted."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pathlens.files import write_bytes


@dataclass(frozen=True)
class Made:
    """Attacked images, uint8 (n, 3, H, W), and the processor seconds that they took."""

    pixels: np.ndarray
    seconds: float


def made_or_kept(path: Path, asked: Mapping[str, Any], make: Callable[[], np.ndarray]) -> Made:
    """What is kept under the same settings, or else newly made and kept.

    Args:
        path: File of the cell, ".npz".
        asked: All that decides what is in it, in plain JSON values.
        make: Makes the images.
    """
    text = json.dumps(asked, sort_keys=True)
    if path.is_file():
        with np.load(path, allow_pickle=False) as held:
            if str(held["asked"]) == text:
                return Made(held["pixels"], float(held["seconds"]))
    start = time.process_time()
    made = Made(make(), time.process_time() - start)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=made.pixels, seconds=made.seconds, asked=text)
    write_bytes(path, buffer.getvalue())
    return made
