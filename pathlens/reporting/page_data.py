"""What the scripts of the page draw from: plain values, packed small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.baselines import OWN
from pathlens.analysis.sampling import balanced_rows, grouping
from pathlens.reporting.collect import Findings
from pathlens.reporting.encode import (
    finite,
    packed_bits,
    packed_shares,
    pictures_within,
    small_picture,
)
from pathlens.reporting.sections import SECTIONS
from pathlens.reporting.sections.base import PageImages

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.layers import Layer
    from pathlens.recording import Recording

BARCODE_ROWS = (300, 600)
"""Images in the barcode: so many that the first screen holds it, more where there are many classes."""
ROWS_A_CLASS = 15
PICTURE_BYTES = 4_500_000
"""What all thumbnails of the page may weigh together, before base64."""

STATE_LETTERS = {"high-energy": "h", "dynamic": "d", "mute": "m"}


def page_data(recording: Recording, findings: Findings, *, seed: int) -> dict[str, Any]:
    """Everything that the page draws, ready for `encode.page_json`.

    Args:
        recording: The recording.
        findings: The results.
        seed: Chooses the images of the barcode.
    """
    by, groups = grouping(recording.images)
    wanted = int(np.clip(ROWS_A_CLASS * len(recording.classes), *BARCODE_ROWS))
    rows = balanced_rows(groups, len(recording), wanted, seed)
    shown = _shown_images(recording.images, rows, findings)
    ids = recording.images["image"].iloc[shown]
    page = PageImages({str(image): at for at, image in enumerate(ids)})
    return {
        "classes": list(recording.classes),
        "layers": [_layer(findings, layer) for layer in findings.layers],
        "start": _start(findings),
        "images": _images(recording, shown),
        "barcode": {
            "by": by,
            "of": len(recording),
            "rows": len(rows),
            "bits": [packed_bits(recording.bits(x.name)[rows]) for x in findings.layers],
        },
        "sections": {
            section.name: section.data(findings[section.name], page) for section in SECTIONS
        },
    }


def _start(findings: Findings) -> dict[str, Any]:
    """The layer that the page opens at: best agreement with the classes, else most dynamic."""
    scores = [_agreement(findings, layer) for layer in findings.layers]
    if np.isfinite(scores).any():
        return {"at": int(np.nanargmax(scores)), "why": "agreement"}
    dynamic = findings.states.by_layer["share_dynamic"].to_numpy(dtype=float)
    return {"at": int(dynamic.argmax()), "why": "dynamic"}


def _agreement(findings: Findings, layer: Layer) -> float:
    """AMI of clusters and classes; not a number where there is none."""
    found = findings.layer_result("clusters", layer)
    if found is None or found.scores.empty:
        return float("nan")
    own = found.scores[found.scores["code"] == OWN]
    return float(own.set_index("measure")["value"].get("AMI", np.nan))


def _shown_images(
    images: pd.DataFrame, rows: npt.NDArray[np.int64], findings: Findings
) -> npt.NDArray[np.int64]:
    """Positions of the barcode's images, in its order, and then those that only sections show."""
    wanted = {image for each in SECTIONS for image in each.images(findings[each.name])}
    in_sections = np.flatnonzero(images["image"].astype(str).isin(wanted).to_numpy())
    return np.concatenate([rows, np.setdiff1d(in_sections, rows)]).astype(np.int64)


def _images(recording: Recording, shown: npt.NDArray[np.int64]) -> dict[str, Any]:
    """What is known of the images at these positions, one list a property."""
    table = recording.images.iloc[shown]
    known: dict[str, Any] = {"id": [str(image) for image in table["image"]]}
    for column in ("label", "prediction"):
        if column in table:
            known[column] = [int(value) for value in table[column].fillna(-1)]
    if "confidence" in table:
        known["confidence"] = [finite(value, 3) for value in table["confidence"]]
    small = [small_picture(content) for content in recording.thumbnails(shown)]
    known["picture"] = pictures_within(small, PICTURE_BYTES)
    return known


def _layer(findings: Findings, layer: Layer) -> dict[str, Any]:
    """Name, filters with rate and state, and how much their rates differ between classes."""
    frame = findings.states.frame
    own = frame[frame["layer"] == layer.index].sort_values("filter")
    table = findings.states.by_layer
    row = table[table["layer"] == layer.index].iloc[0]
    spread = None
    paths = findings.layer_result("classes", layer)
    if paths is not None:
        rates = paths.rates.to_numpy(dtype=float)
        spread = packed_shares(rates.max(axis=0) - rates.min(axis=0))
    return {
        "index": layer.index,
        "name": layer.name,
        "filters": len(own),
        "rates": [finite(rate, 4) for rate in own["rate"]],
        "states": "".join(STATE_LETTERS[str(state)] for state in own["state"]),
        "spread": spread,
        **{key: int(row[key]) for key in ("high_energy", "mute", "dynamic")},
        "density": finite(row["density"]),
    }
