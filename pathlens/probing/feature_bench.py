"""Passes of a network that keep what its classifier reads, with some gates forced off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.datasets.loader import ImageLoader
from pathlens.probing.subject import Subject
from pathlens.recorder.penultimate import Features


@dataclass(frozen=True)
class Ablation:
    """Filters of one layer whose gates are forced off.

    Attributes:
        layer: Name of the layer.
        filters: Its filters, in rising order.
        direct: Whether all other gates stay as they were recorded; else they are decided anew.
    """

    layer: str
    filters: tuple[int, ...]
    direct: bool = False


class FeatureBench:
    """Chosen images and their network; the own paths have been run once.

    Args:
        subject: The recording with its network and images.
        rows: int64 (images,), rows of the recording.
        layers: Names of the layers whose contributions are wanted.
        device: Where to run; the network stays there.
        batch_size: Images a forward pass.

    Attributes:
        gates: Layer name to the recorded gates, bool (images, filters).
        features: Penultimate features on the own paths, float32 (images, features).
        scores: Class scores on the own paths, float64 (images, classes).
        contributions: Layer name to the root mean square over places of each filter's gated
            output, float32 (images, filters).

    Raises:
        PathLensError: If the classifier cannot be found, or an image can no longer be read.
    """

    def __init__(
        self,
        subject: Subject,
        rows: Ints,
        layers: Iterable[str] = (),
        *,
        device: str = "cpu",
        batch_size: int = 256,
    ) -> None:
        # A loader of these images only keeps them decoded, however many others there are.
        split, view = subject.loader.split.subset(rows.tolist()), subject.loader.view
        self._subject = replace(subject, loader=ImageLoader(split, view))
        self._settings: dict[str, Any] = {"device": device, "batch_size": batch_size}
        example = torch.zeros(1, 3, view.size, view.size, device=device)
        self._features = Features(subject.network.to(device).model, example)
        recorded = subject.recording
        self.gates: dict[str, Bits] = {x.name: recorded.bits(x.name)[rows] for x in recorded.layers}
        self._run_own_paths(np.arange(len(rows), dtype=np.int64), tuple(layers))

    def _run_own_paths(self, everyone: Ints, layers: tuple[str, ...]) -> None:
        features, scores = [], []
        strengths: dict[str, list[Floats]] = {name: [] for name in layers}

        def own(places: slice) -> dict[int | str, Any]:
            return {name: torch.from_numpy(bits[places]) for name, bits in self.gates.items()}

        with self._features:
            passes = self._subject.run(everyone, own, magnitudes=bool(layers), **self._settings)
            for _, found, path in passes:
                features.append(_numpy(self._features.take()))
                scores.append(_numpy(found))
                for name, kept in strengths.items():
                    kept.append(_numpy(path.magnitudes[name]))
        self.features = np.concatenate(features)
        self.scores: Floats = np.concatenate(scores).astype(np.float64)
        self.contributions = {n: np.concatenate(s) * self.gates[n] for n, s in strengths.items()}

    def ablated(
        self, ablations: Sequence[Ablation], places: Sequence[Ints]
    ) -> Iterator[tuple[int, Ints, Floats, Floats]]:
        """Run images without some filters; a batch is filled with images of several ablations.

        Args:
            ablations: What is forced off.
            places: For each of them int64, positions of the images to run so.

        Yields:
            Position in `ablations`, positions of some images, their penultimate features (N,
            features) and class scores (N, classes).
        """
        which = np.repeat(np.arange(len(ablations)), [len(x) for x in places])
        where = np.concatenate([np.zeros(0, dtype=np.int64), *places])
        with self._features:
            passes = self._subject.run(
                where,
                lambda part: self._forced(ablations, which[part], where[part]),
                **self._settings,
            )
            for part, found, _ in passes:
                features, scores = _numpy(self._features.take()), _numpy(found)
                for number in np.unique(which[part]).tolist():
                    here = which[part] == number
                    yield number, where[part][here], features[here], scores[here].astype(np.float64)

    def _forced(
        self, ablations: Sequence[Ablation], which: Ints, where: Ints
    ) -> dict[int | str, Any]:
        """Gates (N, filters) of the layers that are touched; NaN leaves them to the network."""
        forced: dict[str, Any] = {}
        for number in np.unique(which).tolist():
            one, here = ablations[number], np.flatnonzero(which == number)
            for name in self.gates if one.direct else (one.layer,):
                free = np.full((len(which), self.gates[name].shape[1]), np.nan, dtype=np.float32)
                gates = forced.setdefault(name, free)
                if one.direct:
                    gates[here] = self.gates[name][where[here]]
            forced[one.layer][np.ix_(here, one.filters)] = 0
        return {name: torch.from_numpy(gates) for name, gates in forced.items()}


def _numpy(values: Tensor) -> Any:
    return values.detach().to(device="cpu", dtype=torch.float32).numpy()
