"""Writing a recording of any other method's binary codes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerTable
from pathlens.recording.bits import Bits, pack
from pathlens.recording.content import CONTENT
from pathlens.recording.further import TEXT_COLUMNS, FurtherColumn, with_further
from pathlens.recording.importing_floats import ImportedFloats
from pathlens.recording.manifest import (
    DEFAULT_PART_SIZE,
    IMAGE_COLUMNS,
    Plan,
    image_fingerprint,
)
from pathlens.recording.parts import PartRows
from pathlens.recording.writer import RecordingWriter

if TYPE_CHECKING:
    from pathlens.recording.further import Floats
    from pathlens.recording.reader import Recording

_CONCEPT_COLUMNS = ("image", "concept", "value")

GATES = "gates"
"""Key in the manifest's `extra`."""

NOT_APPLIED = "decided, but not applied"
"""What stands there where the network ran whole, whatever its gates were."""

_NUMBERS = {"label": np.int64, "prediction": np.int64, "confidence": np.float32, "macs": np.int64}


def write_recording(
    folder: str | Path,
    bits_by_layer: Mapping[str, Bits],
    images: pd.DataFrame,
    *,
    classes: Sequence[str] = (),
    thumbnails: Sequence[bytes] | None = None,
    concepts: pd.DataFrame | None = None,
    layers: LayerTable | None = None,
    scores: Mapping[str, Floats] | None = None,
    responses: Mapping[str, Floats] | None = None,
    features: Floats | None = None,
    logits: Floats | None = None,
    unapplied: bool = False,
    checkpoint: str = "",
    model: str = "imported",
    run: str | None = None,
    dataset: Mapping[str, Any] | None = None,
    transform: Mapping[str, Any] | None = None,
    macs_dense: int | None = None,
    extra: Mapping[str, Any] | None = None,
    part_size: int = DEFAULT_PART_SIZE,
) -> Recording:
    """Write binary codes of any origin as a recording, so that every analysis can read them.

    Calling it again with the same arguments finishes an interrupted recording, re-makes what is
    broken in a finished one, and otherwise changes nothing.

    Args:
        folder: Folder of the recording; new, empty, or of the same recording.
        bits_by_layer: For every layer name, in running order, bool (images, filters).
        images: A row an image: `image` (str, unique id) and, if known, `label` and `prediction`
            (int, positions in `classes`), `confidence` (float), `macs` (int), `group` (str: a video,
            a source); for derived images `source_image` and `attack` (str, "" for none).
        classes: Class names.
        thumbnails: JPEG or PNG bytes of every image, b"" for none.
        concepts: Columns image, concept and, if known, value.
        layers: What is known of the layers beyond name and number of filters.
        scores: For every layer name, what the bits were decided from, (images, filters); kept as
            float16.
        responses: For every layer name, pooled responses (images, filters); kept as float32.
        features: Penultimate features (images, features); kept as float32.
        logits: Class scores (images, classes); kept as float32.
        unapplied: Whether gates were decided and the network ran whole.
        checkpoint: SHA-256 of the checkpoint that the codes come from.
        model: Name of the model or method.
        run: Name of the run.
        dataset: Name, split, limit and seed of the images.
        transform: How an image was made into the network's input.
        macs_dense: Multiply-adds of the plain network for one image.
        extra: Anything else, in plain JSON values.
        part_size: Images of a part.

    Raises:
        PathLensError: If the arguments do not fit together, the folder holds something else, or
            the disk is full.
    """
    table = _checked_images(images, classes)
    bits = _checked_bits(bits_by_layer, len(table))
    pictures = _checked_thumbnails(thumbnails, len(table))
    floats = ImportedFloats.of(bits, scores, responses, features, logits, len(classes))
    labels = table["label"].to_numpy() if "label" in table.columns else None
    plan = Plan(
        checkpoint=checkpoint,
        model=model,
        layers=_checked_layers(layers, bits),
        images=len(table),
        fingerprint=image_fingerprint(table["image"].tolist(), labels),
        part_size=part_size,
        columns=[name for name in IMAGE_COLUMNS if name in table.columns],
        thumbnails=pictures is not None,
        run=run,
        dataset=dataset or {},
        transform=transform or {},
        classes=classes,
        macs_dense=macs_dense,
        # Without it the codes of another method on the same images would seem the same recording.
        extra=with_further(
            {
                **(extra or {}),
                **({GATES: NOT_APPLIED} if unapplied else {}),
                "content": _content_hash(table, bits, pictures, floats),
            },
            [
                *(FurtherColumn(name, "string") for name in TEXT_COLUMNS if name in table.columns),
                *floats.columns,
            ],
        ),
    )
    beside = None if concepts is None else _checked_concepts(concepts)
    with RecordingWriter(folder, plan) as writer:
        if beside is not None:
            writer.write_concepts(beside)
        for index in writer.missing_parts():
            rows = writer.part_range(index)
            writer.write_part(index, _part_rows(rows, table, bits, pictures, floats))
        return writer.finish()


def _part_rows(
    rows: range,
    table: pd.DataFrame,
    bits: Mapping[str, Bits],
    pictures: Sequence[bytes] | None,
    floats: ImportedFloats,
) -> PartRows:
    place = slice(rows.start, rows.stop)
    return PartRows(
        images=table.iloc[place],
        bits={name: values[place] for name, values in bits.items()},
        thumbnails=None if pictures is None else pictures[place],
        floats={name: values[place] for name, values in floats.values.items()},
    )


def _checked_images(images: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    if "image" not in images.columns:
        raise PathLensError("The images have no column 'image': give every image a unique id.")
    # Hashes of images are the recorder's: only it knows what the network has seen.
    possible = (*(name for name in IMAGE_COLUMNS if name != CONTENT), *TEXT_COLUMNS)
    strange = [str(name) for name in images.columns if name not in possible]
    if strange:
        raise PathLensError(
            f"Unknown image columns {', '.join(strange)}: a recording holds "
            f"{', '.join(possible)}; drop or rename the others."
        )
    kept = [name for name in possible if name in images.columns]
    table = pd.DataFrame({name: _checked_column(images[name]) for name in kept})
    if "label" in table.columns:
        _check_labels(table["label"], classes)
    return table.reset_index(drop=True)


def _checked_column(column: pd.Series[Any]) -> pd.Series[Any]:
    if column.isna().any():
        raise PathLensError(
            f"The image column '{column.name}' has empty values: fill them in, drop those images, "
            "or leave the column out."
        )
    name = str(column.name)
    if name not in _NUMBERS:
        if not all(isinstance(value, str) for value in column):
            raise PathLensError(f"The image column '{name}' holds values that are not text.")
        return column.astype(str)
    allowed = "iu" if _NUMBERS[name] is np.int64 else "f"
    if column.to_numpy().dtype.kind not in allowed:
        kind = "whole numbers" if allowed == "iu" else "fractions (float)"
        raise PathLensError(f"The image column '{name}' has dtype {column.dtype}: give {kind}.")
    return column.astype(_NUMBERS[name])


def _check_labels(labels: pd.Series[Any], classes: Sequence[str]) -> None:
    outside = labels.lt(0) | (labels.ge(len(classes)) if classes else False)
    if outside.any():
        known = f"0 to {len(classes) - 1}" if classes else "0 or more"
        raise PathLensError(
            f"Label {labels[outside].iloc[0]} is not a position in the classes: labels are {known}."
        )


def _checked_bits(bits_by_layer: Mapping[str, Bits], images: int) -> dict[str, Bits]:
    bits = {str(name): np.asarray(values) for name, values in bits_by_layer.items()}
    for name, values in bits.items():
        if values.dtype != np.bool_:
            raise PathLensError(
                f"The bits of layer '{name}' have dtype {values.dtype}: give a bool array, "
                "for example scores > 0."
            )
        if values.ndim != 2 or values.shape[1] == 0:
            raise PathLensError(
                f"The bits of layer '{name}' have shape {values.shape}: give (images, filters)."
            )
        if len(values) != images:
            raise PathLensError(
                f"Layer '{name}' has bits of {len(values)} images and the table names {images}: "
                "give one row an image, in the same order."
            )
    return bits


def _checked_thumbnails(thumbnails: Sequence[bytes] | None, images: int) -> list[bytes] | None:
    if thumbnails is not None and len(thumbnails) != images:
        raise PathLensError(
            f"There are {len(thumbnails)} thumbnails for {images} images: give one an image, "
            'b"" for none.'
        )
    return None if thumbnails is None else list(thumbnails)


def _checked_concepts(concepts: pd.DataFrame) -> pd.DataFrame:
    if not {"image", "concept"} <= set(concepts.columns):
        raise PathLensError(
            "The concept table needs the columns image, concept and, if known, value; it has "
            f"{', '.join(map(str, concepts.columns))}."
        )
    known = concepts[[name for name in _CONCEPT_COLUMNS if name in concepts.columns]]
    if "value" in known.columns:
        numbers = pd.to_numeric(known["value"], errors="coerce")
        if not numbers.between(0, 1).all():
            raise PathLensError(
                "The concept table has values that are not numbers from 0 to 1: mend them."
            )
    return known


def _checked_layers(layers: LayerTable | None, bits: Mapping[str, Bits]) -> LayerTable:
    found = {name: values.shape[1] for name, values in bits.items()}
    if layers is None:
        pairs = enumerate(found.items(), start=1)
        return LayerTable(Layer(index, name, filters) for index, (name, filters) in pairs)
    if {layer.name: layer.filters for layer in layers} != found:
        raise PathLensError(
            "The layer table and the bits do not name the same layers with the same numbers of "
            "filters: leave `layers` out or make them agree."
        )
    return layers


def _content_hash(
    table: pd.DataFrame,
    bits: Mapping[str, Bits],
    pictures: Sequence[bytes] | None,
    floats: ImportedFloats,
) -> str:
    digest = hashlib.sha256()
    for column in table.columns:
        series = table[column]
        text = series.to_numpy().tobytes() if column in _NUMBERS else "\0".join(series).encode()
        digest.update(f"{column}\0".encode() + text)
    for name, values in bits.items():
        digest.update(f"{name}\0{values.shape}\0".encode())
        for start in range(0, len(values), DEFAULT_PART_SIZE):
            digest.update(pack(values[start : start + DEFAULT_PART_SIZE]).tobytes())
    for picture in pictures or ():
        digest.update(hashlib.sha256(picture).digest())
    for name, numbers in floats.values.items():
        digest.update(f"{name}\0{numbers.dtype}\0{numbers.shape}\0".encode())
        for start in range(0, len(numbers), DEFAULT_PART_SIZE):
            digest.update(numbers[start : start + DEFAULT_PART_SIZE].tobytes())
    return digest.hexdigest()
