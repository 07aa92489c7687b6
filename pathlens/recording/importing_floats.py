"""The float columns of an imported recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pathlens.errors import PathLensError
from pathlens.recording.further import (
    FEATURES,
    LOGITS,
    RESPONSE_PREFIX,
    SCORE_PREFIX,
    Floats,
    FurtherColumn,
)

if TYPE_CHECKING:
    from pathlens.recording.bits import Bits


@dataclass(frozen=True)
class ImportedFloats:
    """Checked float columns.

    Attributes:
        columns: As the manifest lists them.
        values: Column name to (images, values).
    """

    columns: tuple[FurtherColumn, ...]
    values: Mapping[str, Floats]

    @staticmethod
    def of(
        bits: Mapping[str, Bits],
        scores: Mapping[str, Floats] | None,
        responses: Mapping[str, Floats] | None,
        features: Floats | None,
        logits: Floats | None,
        classes: int,
    ) -> ImportedFloats:
        """Check that the floats belong to the same images and layers as the bits.

        Args:
            bits: Layer name to bool (images, filters).
            scores: Layer name to (images, filters), of all layers.
            responses: The same.
            features: (images, values).
            logits: (images, classes).
            classes: Number of classes that are named; 0 if none are.

        Raises:
            PathLensError: If they do not.
        """
        images = len(next(iter(bits.values()), ()))
        columns: list[FurtherColumn] = []
        values: dict[str, Floats] = {}

        def add(name: str, kind: Literal["float16", "float32"], given: Floats, width: int) -> None:
            values[name] = _checked(name, given, (images, width))
            columns.append(FurtherColumn(name, kind, width))

        for layer, given in _by_layer(scores, bits, "scores"):
            add(SCORE_PREFIX + layer, "float16", given, bits[layer].shape[1])
        for layer, given in _by_layer(responses, bits, "responses"):
            add(RESPONSE_PREFIX + layer, "float32", given, bits[layer].shape[1])
        for name, flat in ((FEATURES, features), (LOGITS, logits)):
            if flat is not None:
                add(name, "float32", flat, np.shape(flat)[-1] if np.ndim(flat) else 0)
        if logits is not None and classes and values[LOGITS].shape[1] != classes:
            raise PathLensError(
                f"The logits are of {values[LOGITS].shape[1]} classes and {classes} are named: give "
                "a column for each class, in the order of their names."
            )
        return ImportedFloats(tuple(columns), values)


def _by_layer(
    given: Mapping[str, Floats] | None, bits: Mapping[str, Bits], what: str
) -> list[tuple[str, Floats]]:
    """Every layer with its floats, in the order of the bits; nothing where none are given."""
    if given is None:
        return []
    given = {str(name): values for name, values in given.items()}
    if set(given) != set(bits):
        raise PathLensError(
            f"The {what} and the bits do not name the same layers: give {what} of every layer."
        )
    return [(layer, given[layer]) for layer in bits]


def _checked(name: str, given: Floats, shape: tuple[int, int]) -> Floats:
    values = np.asarray(given)
    if values.dtype.kind != "f":
        raise PathLensError(f"The column '{name}' has dtype {values.dtype}: give floats.")
    if values.shape != shape or not shape[1]:
        raise PathLensError(
            f"The column '{name}' has shape {values.shape}: give one row an image and, for scores "
            f"and responses, one value a filter ({shape[0]} rows)."
        )
    if np.isnan(values).any():
        raise PathLensError(
            f"The column '{name}' holds values that are not numbers: leave none empty."
        )
    return values
