"""A few explained images beside a recording, for the page: which filters their decisions hang on."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pathlens.analysis.sampling import balanced_rows
from pathlens.errors import PathLensError
from pathlens.files import write_json
from pathlens.probing.explaining import Explainer, Explanation
from pathlens.recording.beside import EXAMPLES
from pathlens.recording.reader import Recording, open_recording

SIDE = 160
"""Longer side of the pictures, in pixels."""
FILTERS = 4
"""Filters shown of each image."""


def explained_examples(
    recording: str | Path | Recording,
    *,
    tried: int = 12,
    kept: int = 3,
    data: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Path:
    """Explain images drawn at random and keep those whose decision hangs on the fewest filters.

    The images are drawn among those that the network gets right, as even over classes as possible. What
    is kept is a choice of extremes, and `tried` says of how many.

    Args:
        recording: A recording that lies below its run.
        tried: Images that are explained.
        kept: Images that are kept.
        data: Where the images are, if not where the run found them.
        seed: Draws the images.
        device: Where to run.
        progress: Whether to show progress.

    Returns:
        Path of `examples.json` beside the recording.

    Raises:
        PathLensError: If the run is gone or has another checkpoint, or no image can be explained.
    """
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    rows = _drawn(source, tried, seed)
    explainer = Explainer(None, source, data=data, seed=seed, device=device, progress=progress)
    found = sorted((explainer.explain(int(row)) for row in rows), key=_hangs_on)
    target = source.folder / EXAMPLES
    content = [_written(one, len(rows)) for one in found[:kept]]
    write_json(target, {"recording": source.hash, "images": content})
    return target


def _drawn(source: Recording, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions of images that the network gets right, or of any where no labels are known."""
    images = source.images
    known = "label" in images and "prediction" in images
    right = (
        np.flatnonzero(images["label"] == images["prediction"]) if known else np.arange(len(images))
    )
    if not len(right):
        raise PathLensError(
            f"No image of {source.folder} is taken for its class: nothing to explain."
        )
    groups = images["label"].to_numpy()[right] if known else None
    return np.asarray(right[balanced_rows(groups, len(right), count, seed)], dtype=np.int64)


def _hangs_on(explanation: Explanation) -> tuple[bool, int, float]:
    """Sorts images whose decision flips first, fewest filters first, then the largest drop."""
    flips = explanation.flips
    return not flips.flips, len(flips.members), -flips.drop


def _written(explanation: Explanation, tried: int) -> dict[str, Any]:
    flips = explanation.flips
    number = explanation.layers.set_index("name")["layer"]
    members = set(flips.members)
    shown = [key for key in explanation.maps if key in members]
    shown += [key for key in explanation.maps if key not in members]
    singles = {(row["name"], row["filter"]): row for row in flips.singles.to_dict("records")}
    filters = []
    for name, index in shown[:FILTERS]:
        one = singles[name, index]
        filters.append(
            {
                "layer": int(number[name]),
                "filter": int(index),
                "drop": float(one["drop"]),
                "becomes": int(one["becomes"]),
                "flips": bool(one["flips"]),
                "in_set": (name, index) in members,
                "overlay": _overlay(explanation.picture, explanation.maps[(name, index)]),
            }
        )
    return {
        "image": explanation.image,
        "label": explanation.label,
        "prediction": explanation.prediction,
        "confidence": explanation.confidence,
        "margin": flips.margin,
        "picture": _jpeg(explanation.picture),
        "filters": filters,
        "set": [[int(number[name]), int(index)] for name, index in flips.members],
        "flips": flips.flips,
        "becomes": flips.becomes,
        "others": flips.others,
        "others_flip": None if np.isnan(flips.others_flip) else flips.others_flip,
        "tried": tried,
    }


def _overlay(picture: npt.NDArray[np.uint8], response: npt.NDArray[np.float32]) -> str:
    """The picture, dark but where the filter responds."""
    strength = np.clip(response / max(float(response.max()), 1e-12), 0.0, 1.0)
    return _jpeg((picture * (0.22 + 0.78 * strength[:, :, None])).astype(np.uint8))


def _jpeg(pixels: npt.NDArray[np.uint8]) -> str:
    """Base64 of a JPEG of `SIDE` pixels: small pictures are enlarged without smoothing."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    target = io.BytesIO()
    image.save(target, format="JPEG", quality=82)
    return base64.b64encode(target.getvalue()).decode("ascii")
