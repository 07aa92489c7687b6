"""Captions of an explained image; they keep to a width in inches, whatever things are called."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pathlens.analysis.drawing import plain_text
from pathlens.probing.response_maps import Filter

if TYPE_CHECKING:
    from pathlens.probing.explaining.explanation import Explanation

PICTURE = 2.4
"""Inches for the lines above the picture."""

_FAMILY = "DejaVu Sans"
_POINTS = 72.0


@cache
def width_of(text: str, size: float, bold: bool = False) -> float:
    """Inches that one line of text takes in the figures' font at `size` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=_FAMILY, weight="bold" if bold else "normal", size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / _POINTS


def fitted(text: str, inches: float, size: float, *, bold: bool = False) -> str:
    """One line of at most `inches`, its end cut where it is longer; ready for matplotlib."""
    return _plain(_cut(" ".join(text.split()), inches, size, bold))


def wrapped(text: str, inches: float, size: float, *, bold: bool = False) -> str:
    """Lines of at most `inches`, broken between words; a word that is longer is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size, bold) <= inches:
            lines[-1] = longer
        else:
            lines.append(_cut(word, inches, size, bold))
    return "\n".join(_plain(line) for line in lines)


def _cut(text: str, inches: float, size: float, bold: bool) -> str:
    if width_of(text, size, bold) <= inches:
        return text
    # The longest beginning that fits, found by halving: names are untrusted and may be very long.
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if width_of(text[:middle] + "…", size, bold) <= inches:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + "…"


def _plain(line: str) -> str:
    return plain_text(line, len(line))


def decision_caption(explanation: Explanation) -> str:
    """Above the picture: which image it is and what it is taken for."""

    def line(before: str, name: str) -> str:
        left = PICTURE - width_of(before, 9, bold=True)
        return before + fitted(name, left, 9, bold=True)

    taken_for = explanation.class_name(explanation.prediction)
    lines = [line("", explanation.image), line("taken for ", taken_for)]
    said = f"({explanation.confidence:.0%})"
    if explanation.label is None:
        return "\n".join([*lines, said])
    if explanation.label == explanation.prediction:
        return "\n".join([*lines, f"{said}, which is right"])
    truth = explanation.class_name(explanation.label)
    return "\n".join([*lines, line(f"{said}, WRONG: ", truth)])


def weight_caption(explanation: Explanation, one: Filter, inches: float) -> str:
    """What ablating one filter alone does."""
    table = explanation.frame
    row = table[(table["name"] == one[0]) & (table["filter"] == one[1])].iloc[0]
    left = f"then {row['becomes']}" if row["flips"] else f"{row['margin']:.1f} is left"
    lines = [f"without it: margin {-row['drop']:+.1f},", fitted(left, inches, 7.5)]
    if not np.isnan(row["rate"]):
        often = "for all" if row["rate"] == 1 else f"for {row['rate']:.0%} of"
        lines.append(f"(on {often} images)")
    return "\n".join(lines)


def neighbour_title(explanation: Explanation) -> str:
    """Above the nearest images: how many are taken for the same class."""
    by = explanation.beside
    assert by is not None
    name = explanation.class_name(explanation.prediction)
    expected = by.chance * len(by.neighbours)
    return (
        f"Recorded images with the nearest paths: {by.same} of {len(by.neighbours)} are taken for "
        f"{name} too (framed; {expected:.1f} expected by chance)"
    )


def neighbour_caption(explanation: Explanation, row: dict[Any, Any], inches: float) -> str:
    """Under one of the nearest images: its class, and how far its path is."""
    lines = [fitted(explanation.class_name(row["prediction"]), inches, 7.5)]
    if row["label"] >= 0 and row["label"] != row["prediction"]:
        lines.append(fitted(f"is {explanation.class_name(row['label'])}", inches, 7.5))
    assert explanation.beside is not None
    lines.append(f"{row['distance']} of {explanation.beside.dynamic}\ngates differ")
    return "\n".join(lines)
