"""From labels such as "pgd-linf-8" to attacks and benign controls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pathlens.attacking.alteration import Alteration
from pathlens.attacking.attacks import (
    CarliniWagner,
    DeepFool,
    FastGradient,
    ProjectedGradient,
    Square,
)
from pathlens.attacking.benign import Corruption, Jpeg, SignNoise
from pathlens.attacking.corruptions import CORRUPTIONS
from pathlens.errors import PathLensError, unknown


def _corruption(name: str, severity: float) -> Alteration:
    return Corruption(name, _whole(severity))


def _whole(value: float) -> int:
    if not value.is_integer():
        raise PathLensError(f"{value:g} is no whole number: give one.")
    return int(value)


ALTERATIONS: dict[str, tuple[Callable[[float], Alteration], tuple[float, ...]]] = {
    "fgsm": (lambda e: FastGradient(e / 255), (2, 4, 8)),
    "pgd-linf": (lambda e: ProjectedGradient("linf", e / 255), (2, 4, 8)),
    "pgd-l2": (lambda e: ProjectedGradient("l2", e), (0.25, 0.5)),
    "square": (lambda e: Square(e / 255), (8,)),
    "cw-l2": (lambda confidence: CarliniWagner(confidence=confidence), ()),
    "noise": (lambda e: SignNoise(e / 255), (2, 4, 8)),
    "jpeg": (lambda quality: Jpeg(_whole(quality)), (75,)),
    **{f"corruption-{name}": (partial(_corruption, name), (1, 3, 5)) for name in CORRUPTIONS},
}
"""What takes a number behind its name, and the numbers that are usual."""

_WITHOUT_NUMBER: dict[str, Callable[[], Alteration]] = {
    "deepfool": DeepFool,
    "cw-l2": CarliniWagner,
}


def usual_labels() -> list[str]:
    """Labels of all attacks and benign controls at their usual strengths."""
    numbered = [f"{name}-{x:g}" for name, (_, usual) in ALTERATIONS.items() for x in usual]
    return [*_WITHOUT_NUMBER, *numbered]


def find_alteration(label: str) -> Alteration:
    """The attack or benign control that a label names.

    Args:
        label: One of `usual_labels()`, or one of these names with another number behind it: L-inf
            radii in 1/255 ("fgsm-8"), L2 radii of images in [0, 1] ("pgd-l2-0.5"), the confidence of
            "cw-l2-5", JPEG's quality, a corruption's severity.

    Raises:
        PathLensError: If there is none, or its number is missing or out of range.
    """
    if label in _WITHOUT_NUMBER:
        return _WITHOUT_NUMBER[label]()
    if label in ALTERATIONS:
        example = ALTERATIONS[label][1][0]
        raise PathLensError(f"'{label}' needs a number behind it, such as '{label}-{example:g}'.")
    name, _, text = label.rpartition("-")
    if name.endswith("-"):
        name, text = name[:-1], f"-{text}"
    value = _number(text)
    if name not in ALTERATIONS or value is None:
        raise unknown("attack or benign control", label, usual_labels())
    return ALTERATIONS[name][0](value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
