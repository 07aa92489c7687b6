"""The one sentence that a report opens with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pathlens.analysis.results import plural

Parts = list[tuple[str, bool]]
"""Pieces of a sentence: (text, whether it stands out)."""


def percent(share: float, digits: int = 1) -> str:
    """0.8634 as "86.3 %"."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def count(number: float) -> str:
    """12345 as "12,345"."""
    return f"{round(number):,}"


def cost(mean: float, dense: float) -> str:
    """Multiply-adds of a path and of the plain network: "26.9 of 40.6 million"."""
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if dense >= unit:
            return f"{mean / unit:.1f} of {dense / unit:.1f} {name}"
    return f"{count(mean)} of {count(dense)}"


def headline(numbers: Mapping[str, Any]) -> Parts:
    """Network, data, accuracy against plain, MACs saved, dynamic filters and gate density.

    Of a recording that routes nothing it is said what was recorded instead of what was saved.

    Args:
        numbers: What `summarise` gives, without the headline.

    Returns:
        Pieces of text which together are one sentence; what is not known is not mentioned, except
        the accuracy, whose absence is said.
    """
    codes = numbers["recording"].get("codes") or ""
    spent = [(codes, True)] if codes else _macs(numbers["macs"])
    claims = [_accuracy(numbers), spent, _swaps(numbers.get("swaps")), _filters(numbers["filters"])]
    return [*_subject(numbers["recording"]), *_joined(claim for claim in claims if claim)]


def _subject(origin: Mapping[str, Any]) -> Parts:
    data = f"{origin['dataset'] or 'unnamed images'}"
    if origin["split"] and origin["split"] != "all":
        data += f" ({origin['split']} split)"
    return [
        (origin["model"] or "A decoupled network", True),
        (" on ", False),
        (data, True),
        (f", {plural(origin['images'], 'image')}: ", False),
    ]


def _accuracy(numbers: Mapping[str, Any]) -> Parts:
    accuracy = numbers["accuracy"]
    if accuracy is None:
        return [("accuracy unknown, as the images have no labels", False)]
    said: Parts = [
        (f"{percent(accuracy['value'])} correct", True),
        (f" (95\N{NO-BREAK SPACE}% interval {percent(accuracy['low'])} to ", False),
        (f"{percent(accuracy['high'])})", False),
    ]
    return [*said, (f", against {_rival(numbers)}", False)]


def _rival(numbers: Mapping[str, Any]) -> str:
    """What the accuracy is held against: the plain network if known, else the commonest class."""
    plain, accuracy = numbers["plain"], numbers["accuracy"]
    if not plain or plain.get("accuracy") is None:
        return f"{percent(accuracy['commonest_class'])} for always naming the commonest class"
    same = plain.get("images") in (None, accuracy["images"])
    where = "the same images" if same else plural(round(plain["images"]), "image")
    said = f"{percent(plain['accuracy'])} for the plain network on {where}"
    if plain.get("published_accuracy") is not None:
        said += f" and {percent(plain['published_accuracy'])} for the published weights"
    return said


def _macs(macs: Mapping[str, Any] | None) -> Parts:
    if macs is None:
        return []
    if macs["saved"] < 0:
        return [(f"{percent(-macs['saved'])} more multiply-adds", True), (" than plain", False)]
    return [(f"{percent(macs['saved'])} of multiply-adds saved", True)]


def _swaps(swaps: Mapping[str, Any] | None) -> Parts:
    """What another path costs, in points of accuracy with 95 % intervals."""
    if not swaps:
        return []
    named = (
        ("one path for all images at equal cost would lose ", swaps["static"]),
        ("another class's path ", swaps["other_class"]),
    )
    said = [(words, _points(row)) for words, row in named if row is not None]
    parts: Parts = []
    for words, lost in said:
        parts += [(", ", False)] if parts else []
        parts += [(words, False), (lost, True)]
    return parts


def _points(row: Mapping[str, Any]) -> str:
    lost, low, high = (f"{100 * row[key]:.1f}" for key in ("lost", "lost_low", "lost_high"))
    return f"{lost} points [{low}, {high}]"


def _filters(filters: Mapping[str, Any]) -> Parts:
    total, images = plural(filters["total"], "filter"), plural(filters["images"], "image")
    where = f" of {filters['of_layers']}" if filters.get("of_layers") else ""
    return [
        (f"{percent(filters['share_dynamic'])} of {total}{where} dynamic", True),
        (f" at {images}, with {percent(filters['density'])} of gates on", False),
    ]


def _joined(claims: Iterable[Parts]) -> Parts:
    """The claims one after another, with semicolons between and a full stop at the end."""
    said: Parts = []
    for claim in claims:
        said += [("; ", False)] if said else []
        said += claim
    return [*said, (".", False)]
