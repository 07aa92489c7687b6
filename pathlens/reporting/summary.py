"""The headline numbers of a report, each with what it is to be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from pathlens._version import __version__
from pathlens.analysis.baselines import OWN
from pathlens.reporting.collect import Findings
from pathlens.reporting.encode import finite
from pathlens.reporting.headline import headline
from pathlens.reporting.sections import SECTIONS
from pathlens.reporting.sections.base import FAILED, UNASKED, Gap

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.layers import Layer
    from pathlens.recording import Recording

SUMMARY_FORMAT = 1


def summarise(
    recording: Recording,
    findings: Findings,
    *,
    plain: Mapping[str, Any] | None,
    concepts: pd.DataFrame | None,
    inputs: str = "",
) -> dict[str, Any]:
    """All headline numbers, as `summary.json` holds them (shares from 0 to 1, MACs an image)."""
    numbers: dict[str, Any] = {
        "format": SUMMARY_FORMAT,
        "pathlens": __version__,
        "inputs": inputs,
        "recording": _origin(recording),
        "accuracy": accuracy(recording),
        "plain": None if plain is None else {key: finite(plain[key]) for key in plain},
        "macs": macs(recording),
        "filters": {**filters(findings), "of_layers": _of_layers(recording, findings)},
        "layers": [_layer(findings, layer) for layer in findings.layers],
        "images_a_layer": findings.context.images,
        "gaps": gaps(findings),
        "failed": failed(findings),
        "left_out": left_out(findings),
        "concept_file": concepts is not None,
    }
    for section in SECTIONS:
        numbers.update(section.numbers(findings[section.name]))
    numbers["headline"] = "".join(text for text, _ in headline(numbers))
    return numbers


def wilson_interval(hits: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score method (JASA 22, 1927)."""
    share = hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return float((centre - spread) / scale), float((centre + spread) / scale)


def accuracy(recording: Recording) -> dict[str, Any] | None:
    """Share of images predicted right, its interval, and that of naming the commonest class."""
    images = recording.images
    if "label" not in images or "prediction" not in images:
        return None
    images = images[images["label"].fillna(-1) >= 0]
    if images.empty:
        return None
    hits = int((images["label"] == images["prediction"]).sum())
    low, high = wilson_interval(hits, len(images))
    commonest = float(images["label"].value_counts(normalize=True).iloc[0])
    return {
        **{"value": hits / len(images), "low": low, "high": high},
        **{"images": len(images), "commonest_class": commonest},
    }


def macs(recording: Recording) -> dict[str, Any] | None:
    """Mean multiply-adds an image, of the path and of the plain network, and the share saved."""
    dense = recording.manifest.get("macs_dense")
    if not dense or "macs" not in recording.images:
        return None
    mean = float(recording.images["macs"].mean())
    return {"mean": mean, "dense": int(dense), "saved": 1.0 - mean / int(dense)}


def filters(findings: Findings) -> dict[str, Any]:
    """Counts of filter states over all chosen layers, and the mean share of gates that are on."""
    table = findings.states.by_layer
    total = int(table["filters"].sum())
    counts = {state: int(table[state].sum()) for state in ("high_energy", "mute", "dynamic")}
    return {
        "total": total,
        **counts,
        "share_dynamic": counts["dynamic"] / total,
        "density": float((table["density"] * table["filters"]).sum() / total),
        "images": int(findings.states.images),
    }


def _of_layers(recording: Recording, findings: Findings) -> str:
    """Which layers the filters are counted over, in words; "" for all of the network."""
    chosen = [layer.index for layer in findings.layers]
    if len(chosen) == len(recording.layers):
        return ""
    return f"layer {chosen[0]}" if len(chosen) == 1 else f"{len(chosen)} chosen layers"


def gaps(findings: Findings) -> dict[str, str]:
    """Why an analysis is missing that was to be there, by its name ("map, layer 3")."""
    return {name: gap.reason for name, gap in _gaps(findings) if gap.state != UNASKED}


def failed(findings: Findings) -> list[str]:
    """Those of `gaps` that could not be made, unlike those that wait to be measured."""
    return [name for name, gap in _gaps(findings) if gap.state == FAILED]


def _gaps(findings: Findings) -> Iterator[tuple[str, Gap]]:
    for _, named in findings.results():
        if isinstance(named.result, Gap):
            yield named.said, named.result


def left_out(findings: Findings) -> dict[str, list[str]]:
    """What the analyses left out, in their own words, each sentence once, by kind of analysis."""
    said: dict[str, list[str]] = {}
    for kind, named in findings.results():
        text = "" if isinstance(named.result, Gap) else named.result.left_out
        if text and text not in said.setdefault(kind, []):
            said[kind].append(text)
    return {kind: texts for kind, texts in said.items() if texts}


def _origin(recording: Recording) -> dict[str, Any]:
    """What was recorded, from its manifest."""
    manifest = recording.manifest
    dataset = dict(manifest.get("dataset") or {})
    name = str(dataset.get("name") or "")
    return {
        "name": recording.folder.name,
        "hash": recording.hash,
        "checkpoint": manifest.get("checkpoint"),
        "model": manifest.get("model") or "",
        "run": manifest.get("run"),
        # A data set given by its path is called by its last part, which is all a reader needs.
        "dataset": PurePath(name).name or name,
        "split": dataset.get("split") or "",
        "images": len(recording),
        "skipped": len(recording.skipped),
        "classes": len(recording.classes),
        "layers": len(recording.layers),
        "codes": codes(manifest.get("extra") or {}),
        "baseline": (manifest.get("extra") or {}).get("baseline", {}).get("kind"),
    }


def codes(extra: Mapping[str, Any]) -> str:
    """What was recorded where it is not the path of the images, in words; "" for paths."""
    baseline = extra.get("baseline")
    if baseline is None:
        return "gates decided but not applied, nothing is saved" if extra.get("gates") else ""
    scores = {
        "response": "responses of the plain network's filters",
        "random": "random projections of what enters the plain network's layers",
        "unapplied": "logits of gating modules that were never applied",
    }.get(baseline["kind"], str(baseline["kind"]))
    rates = baseline["rates_from"]["run"]
    return (
        f"no paths but a baseline: {scores}, cut to the on-rates of run {rates}, nothing is saved"
    )


def _layer(findings: Findings, layer: Layer) -> dict[str, Any]:
    """The numbers of one layer; those of an analysis that is missing are absent."""
    table = findings.states.by_layer
    row = table[table["layer"] == layer.index].iloc[0]
    numbers = {str(name): finite(row[name]) for name in table.columns}
    clusters = findings.layer_result("clusters", layer)
    if clusters is not None:
        for score in clusters.scores[clusters.scores["code"] == OWN].to_dict("records"):
            measure = str(score["measure"]).lower()
            keys = ("value", "null_mean", "null_95", "p")
            numbers[measure] = {key: finite(score[key]) for key in keys}
        numbers["clusters"] = int(
            clusters.frame.loc[clusters.frame["cluster"] > 0, "cluster"].nunique()
        )
    path_map = findings.layer_result("maps", layer)
    if path_map is not None:
        numbers["unique_paths"] = int(path_map.unique_paths)
        numbers["neighbours_kept"] = finite(path_map.neighbours_kept)
    return numbers
