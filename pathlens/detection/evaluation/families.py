"""Which altered sets are one attack: at other strengths, encoded again, carried over."""

from __future__ import annotations

import re

ADAPTIVE = "adaptive"

_VARIANT = re.compile(
    r"[-_](?:jpeg(?:[-_.]?\d+)?|transfer|soft|linf|l[012]|\d+(?:\.\d+)?(?:e[-+]?\d+)?)$",
    re.IGNORECASE,
)


def is_adaptive(name: str) -> bool:
    """Whether an altered set is, by its name, of an attack that knows a fitted detector."""
    return re.match(rf"{ADAPTIVE}(?:[-_]|$)", name, re.IGNORECASE) is not None


def family_of(name: str) -> str:
    """The family of an altered set by its name.

    What stands behind the name of the attack is taken off as long as there is any: a strength
    ("-8", "-0.5"), a norm ("-linf", "-l2"), "-jpeg" with its quality, "-transfer", "-soft". So
    "pgd-linf-8-jpeg" and "pgd-l2-0.5" are of the family "pgd". What begins with "adaptive" is of
    that family, whatever detector it evades.
    """
    if is_adaptive(name):
        return ADAPTIVE
    while shorter := _VARIANT.sub("", name):
        if shorter == name:
            break
        name = shorter
    return name
