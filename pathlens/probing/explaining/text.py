"""An explanation as lines to read in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pathlens.probing.explaining.explanation import Explanation

_ROWS = 8
"""Rows of a table, at most."""


def text_of(explanation: Explanation) -> str:
    """Sentences, then filters that weigh most, layers, neighbours, concepts, detectors."""
    parts = [
        "\n".join([explanation.decision(), explanation.routing(), explanation.holding()]),
        _filters(explanation),
        _layers(explanation),
        _neighbours(explanation),
        _concepts(explanation),
        explanation.giveaways.text() if explanation.giveaways is not None else "",
        f"Left out: {explanation.left_out}." if explanation.left_out else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _filters(explanation: Explanation) -> str:
    tried = explanation.frame.dropna(subset=["drop"])
    ranked = tried.sort_values(["in_set", "drop"], ascending=False, kind="stable").head(_ROWS)
    if ranked.empty:
        return ""
    now = explanation.class_name(explanation.prediction)
    rows = [
        (
            str(row["layer"]),
            str(row["name"]),
            str(row["filter"]),
            f"{row['drop']:.2f}",
            f"{row['margin']:.2f}",
            str(row["becomes"]) if row["flips"] else "stays",
            "" if np.isnan(row["rate"]) else f"{row['rate']:.0%}",
            "in the set" if row["in_set"] else "",
        )
        for row in ranked.to_dict("records")
    ]
    head = ("layer", "name", "filter", "drop", "margin left", "decision", "on for", "")
    title = f"Filters ablated one by one (margin of {now}: {explanation.flips.margin:.2f})"
    return _table(title, head, rows)


def _layers(explanation: Explanation) -> str:
    known = explanation.beside is not None and explanation.beside.images > 0
    rows = []
    for row in explanation.layers.to_dict("records"):
        cells = [str(row["layer"]), str(row["name"]), f"{row['on']} of {row['filters']}"]
        if known:
            cells += [f"{row['class_on']:.1f}", f"{row['percentile']:.0%}", str(row["unusual"])]
        rows.append(tuple(cells))
    head = ("layer", "name", "filters on", *(("in class", "typical", "unusual") if known else ()))
    return _table("Path, layer by layer", head, rows)


def _neighbours(explanation: Explanation) -> str:
    by = explanation.beside
    if by is None:
        return ""
    rows = [
        (
            str(row["distance"]),
            str(row["image"]),
            explanation.class_name(row["prediction"]),
            explanation.class_name(row["label"]),
        )
        for row in by.neighbours.to_dict("records")
    ]
    title = f"Nearest recorded images by path (gates that differ, of {by.dynamic} dynamic ones)"
    return _table(title, ("differ", "image", "taken for", "is"), rows)


def _concepts(explanation: Explanation) -> str:
    if explanation.hits is None:
        return ""
    hit = explanation.hits.concepts
    hit = hit[hit["hit"] > 0].head(_ROWS)
    title = (
        f"Concepts whose confirmed combinations it is routed through ({explanation.hits.source})"
    )
    if hit.empty:
        return f"{title}: none."
    rows = [
        (
            str(row["concept"]),
            f"{row['hit']} of {row['confirmed']}",
            f"{row['expected']:.1f}",
            f"{row['best_phi']:.2f}",
            _has(row["value"]),
        )
        for row in hit.to_dict("records")
    ]
    return _table(title, ("concept", "combinations", "average", "best phi", "image has it"), rows)


def _has(value: float) -> str:
    if np.isnan(value):
        return "unknown"
    return {0.0: "no", 1.0: "yes"}.get(value, f"{value:.0%}")


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A titled table with its columns aligned: numbers to the right, words to the left."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numbers = [all(_number(cell) for cell in column[1:]) for column in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines)])


def _number(cell: str) -> bool:
    return cell.replace(" of ", "").strip("-%").replace(".", "").isdigit()
