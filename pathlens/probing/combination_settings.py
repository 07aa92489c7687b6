"""What a measurement was made with, and whether it can be made at all."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from pathlens.analysis.measured.combinations import combinations, overlay_entries
from pathlens.datasets.image_files import find_images
from pathlens.errors import PathLensError
from pathlens.probing.mask_views import MaskFolder, Masks, open_masks
from pathlens.probing.subject import open_subject
from pathlens.recording.reader import Recording

_DIGITS = 12


def mask_setting(masks: Masks, images: int, seed: int) -> str:
    """A short name that two measurements with masks share if they were made in the same way.

    Args:
        masks: The masks: of a folder count the names and sizes of its files, not what lies in them.
        images: Images of each half, at most.
        seed: Draws them.
    """
    origin = _folder_facts(masks) if isinstance(masks, MaskFolder) else masks
    return f"masks-{_short([origin, images, seed])}"


def ablation_setting(images: int, seed: int) -> str:
    """The same of measurements by ablation.

    Args:
        images: Images a concept, at most.
        seed: Draws images and random sets.
    """
    return f"ablation-{_short([images, seed])}"


def _folder_facts(masks: MaskFolder) -> list[Any]:
    names = sorted(find_images(masks.path))
    sizes = [(masks.path / name).stat().st_size for name in names]
    classes = hashlib.sha256(Path(masks.classes).expanduser().read_bytes()).hexdigest()
    void = None if masks.void is None else sorted(map(str, masks.void))
    return [names, sizes, classes, void, masks.ending]


def _short(facts: Any) -> str:
    # Behind a word, so that no reader of tables takes twelve digits for a number.
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_DIGITS]


def require_measurable(recording: Recording, masks: Masks | None, data: str | Path | None) -> None:
    """Refuse, before a long search, what could not be measured or stored after it.

    Args:
        recording: The recording.
        masks: The masks, if IoU is asked for.
        data: Where the images are, if not where the run found them.

    Raises:
        PathLensError: If the run, its images or their masks cannot be opened, a table beside the
            recording is damaged, or nothing can be written there.
    """
    subject = open_subject(recording, data, labelled=False)
    if masks is not None:
        open_masks(masks, subject.loader.split)
        overlay_entries(recording)
    combinations(recording)
    try:
        with tempfile.TemporaryFile(dir=recording.folder):
            pass
    except OSError as error:
        raise PathLensError(
            f"Nothing can be written to {recording.folder}, where measures are kept: change its "
            "permissions, or copy the run and its recording."
        ) from error
