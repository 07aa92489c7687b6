"""The recording that ships with the package."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pathlens.errors import PathLensError

if TYPE_CHECKING:
    from pathlens.recording import Recording

EXAMPLE = "scenes-test-500"


def open_example(folder: Path | str | None = None) -> Recording:
    """Open the shipped recording: 500 test images of `scenes` in a decoupled `small_cnn`.

    Its six layers run half of the network's multiply-adds. Ten classes, 50 images of each, thumbnails
    and the concepts of each image are with it.

    Args:
        folder: Copy the recording there first. What writes beside a recording (reports, ledgers,
            tables of probing) needs such a copy, since an installation may be read-only.

    Raises:
        PathLensError: If `folder` exists and is not empty.
    """
    # Imported here, so that the room costs nothing until a recording is read.
    from pathlens.recording import open_recording

    shipped = Path(str(resources.files(__name__.rpartition(".")[0]))) / EXAMPLE
    if folder is None:
        return open_recording(shipped)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise PathLensError(
            f"{target} exists already: name a new folder for the copy of the example."
        )
    shutil.copytree(shipped, target, dirs_exist_ok=True)
    return open_recording(target)
