"""Checkpoints: weights, settings and all that resuming needs, without pickled classes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathlens.errors import PathLensError
from pathlens.files import write_bytes

FORMAT = 1


def save_checkpoint(target: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        target: The file.
        content: Tensors, numbers, strings, and lists and dictionaries of them.

    Raises:
        PathLensError: If the disk is full.
    """
    # Through memory, so that a full disk is the operating system's clear error.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    write_bytes(target, buffer.getvalue())


def load_checkpoint(source: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        PathLensError: If it is missing, damaged, or of a later format.
    """
    if not source.is_file():
        raise PathLensError(
            f"There is no checkpoint {source}: training has not finished an epoch; run the same "
            "`pathlens train` command again."
        )
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        raise PathLensError(
            f"The checkpoint {source} is damaged ({type(error).__name__}): train again."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("weights"), dict):
        raise PathLensError(f"{source} is not a PathLens checkpoint: train again.")
    version = content.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise PathLensError(f"{source} was written by a later PathLens: install that version.")
    return content


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes of all tensors, as hexadecimal digits.

    The same network has the same hash, however its checkpoint was written.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
