"""Sentences of the page that depend on the numbers: how sure one may be, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pathlens.analysis.results import plural
from pathlens.reporting.headline import count

Note = tuple[str, str]
"""A few words that name the matter, and the sentences about it."""


@dataclass(frozen=True)
class Missing:
    """What a reader will look for in vain.

    Attributes:
        name: What it is.
        reason: Why it is not there, and how to get it.
        command: The command that makes it; "" where none can.
        failed: Whether it is missing because something is broken.
    """

    name: str
    reason: str
    command: str = ""
    failed: bool = False


PROBED = ("path swaps", "ablations", "explained images")
"""Results that need the network and are measured apart, as the gaps of a report call them."""


def how_sure(numbers: Mapping[str, Any], data: Mapping[str, Any]) -> list[Note]:
    """What limits the statements of the page."""
    origin = numbers["recording"]
    notes = [
        *_no_paths(origin),
        (
            "One checkpoint",
            "Every statement is about this checkpoint on these images. Another training run of the "
            "same network may route differently; a statement about the method needs several seeds.",
        ),
        *_what_gates_mean(origin),
        (
            "Dynamic is a matter of numbers",
            f"Filter states are exact counts over {plural(numbers['filters']['images'], 'image')}. "
            "With more images, fewer filters remain always on or always off: compare reports only "
            "at equal numbers of images.",
        ),
        _skipped(origin),
        _barcode(data["barcode"]),
    ]
    notes += [
        (f"Left out: {kind}", f"{'; '.join(said)}.") for kind, said in numbers["left_out"].items()
    ]
    return notes


def _no_paths(origin: Mapping[str, Any]) -> list[Note]:
    """What the page is about where nothing was routed."""
    if not origin["codes"]:
        return []
    return [
        (
            "Nothing is routed here",
            f"The page shows {origin['codes']}. Where it says path and gate, read code and bit: it is "
            "there to be held against the same page of a decoupled run.",
        )
    ]


def _what_gates_mean(origin: Mapping[str, Any]) -> list[Note]:
    """What holds of gating modules only, and not of thresholded values of a plain network."""
    if origin["baseline"] in ("response", "random"):
        return []
    return [
        _circular(origin["split"]),
        (
            "Routed through, not detected by",
            "A gate is decided from what enters the layer, before the filter runs. A filter that "
            "is on for a concept need not detect that concept.",
        ),
    ]


def _circular(split: str) -> Note:
    """What it means that paths are trained with the class, on these images or on others."""
    said = (
        "The paths were trained to be predictive of the class (a loss asks for it), so that some "
        "agreement between paths and classes is built in. "
    )
    if split in ("test", "validation"):
        said += f"All is computed on the {split} images, which were not trained on, beside a null."
    elif split == "train":
        said += (
            "These are the very images that were trained on: agreement with their classes is "
            "circular. Record the test images to say anything about it."
        )
    else:
        said += "Whether the network was trained on these very images is not known here."
    return "Trained to tell classes", said


def _skipped(origin: Mapping[str, Any]) -> Note:
    skipped = origin["skipped"]
    if not skipped:
        return "Unreadable images", "None among the images that were to be recorded."
    return (
        "Unreadable images",
        f"{plural(skipped, 'image was', 'images were')} unreadable and left out; skipped.csv in the "
        "recording lists them with the reason.",
    )


def _barcode(barcode: Mapping[str, Any]) -> Note:
    if barcode["rows"] == barcode["of"]:
        return "Images in the barcode", f"All {count(barcode['of'])}."
    return (
        "Images in the barcode",
        f"{count(barcode['rows'])} of {count(barcode['of'])}, drawn by seed and as even over "
        "classes as possible. Rates and states are counted over all images.",
    )


def what_is_missing(numbers: Mapping[str, Any], data: Mapping[str, Any]) -> list[Missing]:
    """What a reader will look for in vain, and how to get it."""
    found = []
    plain = numbers["plain"]
    if numbers["accuracy"] is not None and (not plain or plain.get("accuracy") is None):
        found.append(
            Missing(
                "Plain network",
                "Its accuracy on the same images is not known. Train it with “pathlens train MODEL "
                "--data DATA --plain”, then make this report again.",
                "pathlens train MODEL --data DATA --plain",
            )
        )
    if numbers["macs"] is None:
        found.append(Missing("Multiply-adds", "The recording does not say what a path costs."))
    if not numbers["concept_file"]:
        against = "classes only" if numbers["accuracy"] is not None else "nothing"
        found.append(
            Missing(
                "Concepts",
                f"Filters are tested against {against}. Give a concept file "
                "(image,concept[,value]) with “pathlens report --concepts FILE”.",
                "pathlens report RECORDING --concepts FILE",
            )
        )
    found += _unmeasured(numbers)
    if not any(data["images"]["picture"]):
        found.append(Missing("Pictures", "The recording holds no thumbnails."))
    return found


def _unmeasured(numbers: Mapping[str, Any]) -> list[Missing]:
    """What waits to be measured with the network; what failed there is told with its reason, too."""
    return [
        Missing(
            name.capitalize(),
            reason,
            "" if name in numbers["failed"] else "pathlens probe RECORDING",
            failed=name in numbers["failed"],
        )
        for name, reason in numbers["gaps"].items()
        if name in PROBED
    ]


def to_make(missing: Iterable[Missing]) -> dict[str, list[str]]:
    """What is missing by the command that makes it, in small letters; "" if it was not recorded."""
    commands: dict[str, list[str]] = {}
    for one in missing:
        if not one.failed:
            commands.setdefault(one.command, []).append(one.name.lower())
    return commands
