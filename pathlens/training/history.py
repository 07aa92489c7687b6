"""The history of a training: a row an epoch, as CSV, for TensorBoard, and as a line to read."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors, write_text

Row = Mapping[str, float]

_SHORT = {
    "classification": "class",
    "mutual_information": "info",
    "alignment": "align",
    "sparsity": "sparse",
    "train_accuracy": "acc",
    "density": "on",
}


def write_csv(target: Path, history: Sequence[Row]) -> None:
    """Write a row an epoch, with all columns that any epoch has.

    Raises:
        PathLensError: If the disk is full.
    """
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(target, text.getvalue())


def check_tensorboard() -> None:
    """Make sure that event files can be written.

    Raises:
        PathLensError: If the package is missing.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise PathLensError(
            "Event files need the package tensorboard: install it with "
            "`pip install 'pathlens[tensorboard]'`, or train without --tensorboard."
        ) from error


class TensorBoard:
    """Event files with a scalar for every column and epoch.

    Args:
        folder: Where the event files are.
        history: Epochs that are done. They are written anew, after a mark that TensorBoard forgets
            what it has from the first epoch on: whatever a killed process had written, no epoch is
            missing and none stands there twice.

    Raises:
        PathLensError: If the package is missing.
    """

    def __init__(self, folder: Path, history: Sequence[Row]) -> None:
        check_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        with clear_disk_errors(folder):
            self._writer: Any = SummaryWriter(str(folder), purge_step=1)
        for row in history:
            self.add(row)

    def add(self, row: Row) -> None:
        """Write one epoch."""
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()


def short(means: Row) -> dict[str, str]:
    """Running means under short names, so that they fit a terminal."""
    return {_SHORT.get(name, name): f"{mean:.3g}" for name, mean in means.items()}


def line(row: Row, epochs: int, left: float) -> str:
    """One epoch as a line: loss, accuracies, gates, time, and seconds left of the training."""
    parts = [
        f"epoch {row['epoch']:.0f}/{epochs}",
        f"loss {row['loss']:.3f}",
        f"train {row['train_accuracy']:.1%}",
        f"validation {row['validation_accuracy']:.1%}",
    ]
    if "density" in row:
        parts.append(f"gates on {row['validation_density']:.1%}")
        parts.append(f"MACs {row['validation_macs_share']:.1%}")
    parts.append(f"{row['seconds']:.0f} s")
    if left:
        parts.append(f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left")
    return "  ".join(parts)
