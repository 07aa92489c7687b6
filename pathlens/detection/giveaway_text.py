"""What gives an image away, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlens.detection.giveaways import Giveaways


def summary_of(found: Giveaways) -> str:
    """One or two sentences."""
    if found.scores.empty:
        return f"No detector could look at {found.image}."
    said = "; ".join(_verdict(row) for row in found.scores.to_dict("records"))
    added = found.layers_that_add()
    if added.empty:
        return f"{found.image}: {said}."
    layers = ", ".join(f"{row['layer']} ({row['part']:+.2f})" for row in added.to_dict("records"))
    return f"{found.image}: {said}. Layers that add most to {found.speaker}: {layers}."


def text_of(found: Giveaways) -> str:
    """Verdicts, then a line a layer; "" where there are none."""
    if found.scores.empty:
        return ""
    verdicts = [f"  {_verdict(row)}" for row in found.scores.to_dict("records")]
    lines = ["Detectors of altered images:", *verdicts]
    added = found.layers_that_add().to_dict("records")
    if added:
        lines.append(
            f"  Layers that add most to {found.speaker}, and gates unlike those of most images taken "
            f"for {found.predicted}:"
        )
    lines += [
        f"    layer {row['layer']}, {row['name']} ({row['part']:+.2f}): {_filters(found, row['name'])}"
        for row in added
    ]
    return "\n".join(lines)


def _verdict(row: dict[Any, Any]) -> str:
    said = f"{row['detector']} scores it {row['score']:.2f}"
    if np.isnan(row["threshold"]):
        return f"{said} (no threshold was chosen)"
    flagged = "flagged" if row["flagged"] else "not flagged"
    return f"{said} (threshold {row['threshold']:.2f}): {flagged}"


def _filters(found: Giveaways, name: str) -> str:
    rows = found.filters_unlike(name).to_dict("records")
    if rows:
        return ", ".join(_filter(row) for row in rows)
    own = found.frame[found.frame["name"] == name]
    if own["unlike"].isna().all():
        return f"no other image is taken for {found.predicted}"
    return "every gate is as in most of them"


def _filter(row: dict[Any, Any]) -> str:
    """A gate and how many images of the class have it on."""
    state = "on" if row["on"] else "off"
    return f"filter {row['filter']} {state} although {row['class_rate']:.0%} have it on"
