"""What the scripts of the page draw from: plain values, packed small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pathlens.reporting.choose import balanced_rows, grouping
from pathlens.reporting.collect import Findings, Gap, LayerFindings
from pathlens.reporting.encode import (
    finite,
    packed_bits,
    packed_shares,
    pictures_within,
    small_picture,
)

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording import Recording

BARCODE_ROWS = 600
"""Largest number of images in the barcode."""
ASSOCIATION_ROWS = 2000
"""Largest number of associations in the page's table; the CSV has all."""
CLASSES_DRAWN = 120
"""Similarities of more classes than this are not drawn, only written to tables and figures."""
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
    rows = balanced_rows(groups, len(recording), BARCODE_ROWS, seed)
    shown = _shown_images(recording.images, rows, findings)
    number = {str(image): at for at, image in enumerate(recording.images["image"].iloc[shown])}
    return {
        "classes": list(recording.classes),
        "layers": [_layer(findings, found) for found in findings.layers],
        "start": _start(findings),
        "images": _images(recording, shown),
        "barcode": {
            "by": by,
            "of": len(recording),
            "rows": len(rows),
            "bits": [packed_bits(recording.bits(x.layer.name)[rows]) for x in findings.layers],
        },
        "network": _class_paths(findings.network),
        "paths": [_class_paths(found.class_paths) for found in findings.layers],
        "clusters": [_clusters(found) for found in findings.layers],
        "maps": [_map(found, number) for found in findings.layers],
        "associations": _associations(findings),
    }


def _start(findings: Findings) -> dict[str, Any]:
    """The layer that the page opens at: best agreement with the classes, else most dynamic."""
    scores = [_agreement(found) for found in findings.layers]
    if np.isfinite(scores).any():
        return {"at": int(np.nanargmax(scores)), "why": "agreement"}
    dynamic = findings.states.by_layer["share_dynamic"].to_numpy(dtype=float)
    return {"at": int(dynamic.argmax()), "why": "dynamic"}


def _agreement(found: LayerFindings) -> float:
    """AMI of clusters and classes; not a number where there is none."""
    if isinstance(found.clusters, Gap) or found.clusters.scores.empty:
        return float("nan")
    scores = found.clusters.scores.set_index("measure")["value"]
    return float(scores.get("AMI", np.nan))


def _shown_images(
    images: pd.DataFrame, rows: npt.NDArray[np.int64], findings: Findings
) -> npt.NDArray[np.int64]:
    """Positions of the barcode's images, in its order, and then those that only maps show."""
    wanted: set[str] = set()
    for found in findings.layers:
        if not isinstance(found.path_map, Gap):
            wanted.update(found.path_map.frame["image"].astype(str))
    in_maps = np.flatnonzero(images["image"].isin(wanted).to_numpy())
    return np.concatenate([rows, np.setdiff1d(in_maps, rows)]).astype(np.int64)


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


def _layer(findings: Findings, found: LayerFindings) -> dict[str, Any]:
    """Name, filters with rate and state, and how much their rates differ between classes."""
    frame = findings.states.frame
    own = frame[frame["layer"] == found.layer.index].sort_values("filter")
    table = findings.states.by_layer
    row = table[table["layer"] == found.layer.index].iloc[0]
    spread = None
    if not isinstance(found.class_paths, Gap):
        rates = found.class_paths.rates.to_numpy(dtype=float)
        spread = packed_shares(rates.max(axis=0) - rates.min(axis=0))
    return {
        "index": found.layer.index,
        "name": found.layer.name,
        "filters": len(own),
        "rates": [finite(rate, 4) for rate in own["rate"]],
        "states": "".join(STATE_LETTERS[str(state)] for state in own["state"]),
        "spread": spread,
        **{key: int(row[key]) for key in ("high_energy", "mute", "dynamic")},
        "density": finite(row["density"]),
    }


def _class_paths(found: Any) -> dict[str, Any]:
    """Similarity of classes, packed row by row, with the tree that groups them."""
    if isinstance(found, Gap):
        return {"gap": found.reason}
    names = [str(name) for name in found.similarity.index]
    if len(names) > CLASSES_DRAWN:
        return {
            "gap": f"{len(names)} classes are too many to draw here: "
            "see tables/class_paths.csv and the figures beside this page."
        }
    position = {name: at for at, name in enumerate(names)}
    similarity = found.similarity.to_numpy(dtype=float)
    return {
        "names": names,
        "by": found.by,
        "chance": finite(found.chance, 4),
        "similarity": packed_shares(similarity),
        "linkage": [[finite(value) for value in row] for row in np.asarray(found.linkage)],
        "order": [position[str(name)] for name in found.order],
        "summary": found.summary(),
        "left_out": found.left_out,
    }


def _clusters(found: LayerFindings) -> dict[str, Any]:
    """Counts of clusters by classes, the scores beside their null, and what the result says."""
    result = found.clusters
    if isinstance(result, Gap):
        return {"gap": result.reason}
    return {
        "names": [str(name) for name in result.table.columns],
        "clusters": [str(name) for name in result.table.index],
        "counts": result.table.to_numpy(dtype=int).tolist(),
        "scores": [
            {key: finite(row[key], 4) for key in ("measure", "value", "null_mean", "null_95", "p")}
            for row in result.scores.to_dict("records")
        ],
        "images": len(result.frame),
        "summary": result.summary(),
        "left_out": result.left_out,
    }


def _map(found: LayerFindings, number: dict[str, int]) -> dict[str, Any]:
    """Points of the map, both axes scaled alike to 0..1, with the image that stands for each.

    Images of one class that share a path share a place, and one mark stands for all of them.
    """
    result = found.path_map
    if isinstance(result, Gap):
        return {"gap": result.reason}
    frame = result.frame.drop_duplicates(["x", "y", "label", "prediction"])
    xy = frame[["x", "y"]].to_numpy(dtype=float)
    span = float(np.ptp(xy, axis=0).max()) or 1.0
    centred = (xy - (xy.max(axis=0) + xy.min(axis=0)) / 2) / span + 0.5
    return {
        "image": [number[str(image)] for image in frame["image"]],
        "xy": packed_shares(centred),
        "copies": [int(copies) for copies in frame["copies"]],
        "unique": int(result.unique_paths),
        "placed": len(result.frame),
        "kept": finite(result.neighbours_kept, 4),
        "chance": finite(result.neighbours_by_chance, 4),
        "left_out": result.left_out,
    }


def _associations(findings: Findings) -> dict[str, Any]:
    """The rows of the table, confirmed ones first, then by corrected p and effect."""
    result = findings.associations
    if isinstance(result, Gap):
        return {"gap": result.reason}
    ordered = result.frame.sort_values(
        ["confirmed", "p_corrected", "phi"], ascending=[False, True, False], kind="stable"
    )
    kept = ordered.head(ASSOCIATION_ROWS)
    return {
        "columns": [str(column) for column in kept.columns],
        "rows": [[finite(value, 4) for value in row] for row in kept.itertuples(index=False)],
        "total": len(ordered),
        "summary": result.summary(),
        "left_out": result.left_out,
    }
