"""Sentences of the page that depend on the numbers: how sure one may be, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathlens.reporting.headline import count

Note = tuple[str, str]
"""A few words that name the matter, and the sentences about it."""


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
            f"Filter states are exact counts over {count(numbers['filters']['images'])} images. "
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
    were = "image was" if skipped == 1 else "images were"
    return (
        "Unreadable images",
        f"{count(skipped)} {were} unreadable and left out; skipped.csv in the recording lists them "
        "with the reason.",
    )


def _barcode(barcode: Mapping[str, Any]) -> Note:
    if barcode["rows"] == barcode["of"]:
        return "Images in the barcode", f"All {count(barcode['of'])}."
    return (
        "Images in the barcode",
        f"{count(barcode['rows'])} of {count(barcode['of'])}, drawn by seed and as even over "
        "classes as possible. Rates and states are counted over all images.",
    )


def what_is_missing(numbers: Mapping[str, Any], data: Mapping[str, Any]) -> list[Note]:
    """What a reader will look for in vain, and how to get it."""
    notes = []
    plain = numbers["plain"]
    if numbers["accuracy"] is not None and (not plain or plain.get("accuracy") is None):
        notes.append(
            (
                "Plain network",
                "Its accuracy on the same images is not known. Train it with “pathlens train MODEL "
                "--data DATA --plain”, then make this report again.",
            )
        )
    if numbers["macs"] is None:
        notes.append(("Multiply-adds", "The recording does not say what a path costs."))
    if not numbers["concept_file"]:
        against = "classes only" if numbers["accuracy"] is not None else "nothing"
        notes.append(
            (
                "Concepts",
                f"Filters are tested against {against}. Give a concept file "
                "(image,concept[,value]) with “pathlens report --concepts FILE”.",
            )
        )
    notes += [(f"No {name}", reason) for name, reason in numbers["gaps"].items() if name in PROBED]
    if not any(data["images"]["picture"]):
        notes.append(("Pictures", "The recording holds no thumbnails."))
    return notes
