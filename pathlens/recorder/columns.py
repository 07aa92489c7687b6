"""The optional columns of a recording that come out of the network: scores, responses and the like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.errors import unknown
from pathlens.recorder.penultimate import Features
from pathlens.recording.bits import Bits
from pathlens.recording.further import (
    FEATURES,
    LOGITS,
    RESPONSE_PREFIX,
    SCORE_PREFIX,
    Floats,
    FurtherColumn,
    as_float16,
)
from pathlens.training.evaluation import scores_of

KINDS = ("scores", "responses", "features", "logits")
"""What can be asked for."""


@dataclass(frozen=True)
class Seen:
    """What a network did with a batch of N images.

    Attributes:
        output: What it returned.
        bits: Layer name to gates, bool (N, filters).
        scores: Layer name to what the gates were decided from, (N, filters).
        responses: Layer name to pooled ungated outputs, (N, filters); empty if not asked for.
    """

    output: Any
    bits: Mapping[str, Bits]
    scores: Mapping[str, Tensor]
    responses: Mapping[str, Tensor]


def checked_columns(columns: str | Iterable[str]) -> tuple[str, ...]:
    """The kinds asked for, each once, in the order of `KINDS`; a string is taken apart at commas.

    Raises:
        PathLensError: If one is not known.
    """
    given = columns.split(",") if isinstance(columns, str) else columns
    names = [name.strip() for name in given if name.strip()]
    for name in names:
        if name not in KINDS:
            raise unknown("optional column", name, KINDS)
    return tuple(kind for kind in KINDS if kind in names)


class OptionalColumns:
    """The columns asked for, for one network.

    Args:
        kinds: Some of `KINDS`.
        network: The network, on the device.
        classes: Number of classes.
        example: One image (1, 3, H, W), on the device.

    Raises:
        PathLensError: If features are asked for and the classifier cannot be found.
    """

    def __init__(
        self, kinds: tuple[str, ...], network: DecoupledNetwork, classes: int, example: Tensor
    ) -> None:
        self.kinds = kinds
        self._layers = network.layers
        self._classes = classes
        self._features = Features(network.model, example) if FEATURES in kinds else None

    @property
    def listed(self) -> list[FurtherColumn]:
        """The columns as the manifest lists them."""
        found: list[FurtherColumn] = []
        if "scores" in self.kinds:
            found += [
                FurtherColumn(SCORE_PREFIX + x.name, "float16", x.filters) for x in self._layers
            ]
        if "responses" in self.kinds:
            found += [
                FurtherColumn(RESPONSE_PREFIX + x.name, "float32", x.filters) for x in self._layers
            ]
        if self._features is not None:
            found.append(FurtherColumn(FEATURES, "float32", self._features.size))
        if LOGITS in self.kinds:
            found.append(FurtherColumn(LOGITS, "float32", self._classes))
        return found

    def watch(self) -> AbstractContextManager[Any]:
        """Within this context the network's batches can be asked for their floats."""
        return nullcontext() if self._features is None else self._features

    def floats(self, seen: Seen) -> dict[str, Floats]:
        """All columns of the batch that ran last, (N, values) each."""
        found: dict[str, Floats] = {}
        if "scores" in self.kinds:
            for layer in self._layers:
                found[SCORE_PREFIX + layer.name] = as_float16(_numpy(seen.scores[layer.name]))
        if "responses" in self.kinds:
            for layer in self._layers:
                found[RESPONSE_PREFIX + layer.name] = _numpy(seen.responses[layer.name])
        if self._features is not None:
            found[FEATURES] = _numpy(self._features.take())
        if LOGITS in self.kinds:
            found[LOGITS] = _numpy(scores_of(seen.output))
        return found


def _numpy(values: Tensor) -> Floats:
    return values.detach().to(device="cpu", dtype=torch.float32).numpy()
