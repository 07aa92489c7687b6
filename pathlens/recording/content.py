"""What an image looked like when it was recorded: a short hash, to tell whether it has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pathlens.recording.manifest import Plan, part_name
from pathlens.recording.parts import PartFault, read_columns, read_footer

CONTENT = "content"
"""The column with the hashes."""

CONTENT_BYTES = 8
"""Length of a hash: of a million changed images, fewer than one in a million million is missed."""


def content_hash(canvas: npt.NDArray[np.uint8]) -> bytes:
    """BLAKE2b with 8 bytes over the square that is stored of an image.

    The decoded square, not the file: it is what the network has seen, it exists for images that
    are no files, and a file that was only renamed or tagged has not changed.

    Args:
        canvas: uint8 (3, side, side): red, green, blue, each row by row.
    """
    return hashlib.blake2b(np.ascontiguousarray(canvas).data, digest_size=CONTENT_BYTES).digest()


def part_content(folder: Path, plan: Plan, index: int) -> dict[str, bytes | None]:
    """The hash of every image of a part, by id; None for those that could not be read.

    Raises:
        PartFault: If the part is missing or damaged, or holds no hashes.
    """
    if CONTENT not in plan.columns:
        raise PartFault("holds no hashes of its images, so that changes of them cannot be found")
    path = folder / part_name(index)
    footer = read_footer(path, plan, index)
    table = read_columns(path, ["image", CONTENT])
    known = zip(table["image"].to_pylist(), table[CONTENT].to_pylist(), strict=True)
    return dict(known) | {image: None for image, _ in footer.skipped}
