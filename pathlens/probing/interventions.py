"""Sets of filters forced off, on or to their mean, on chosen images of a recording, again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import numpy as np
import torch

from pathlens.analysis.source import Floats
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec, LayerTable
from pathlens.probing.responses import gathering, replaced
from pathlens.probing.subject import Bits, Ints, Subject

Mode = Literal["off", "on", "mean"]
Effect = Literal["total", "direct"]
Numbers = int | Sequence[int]
FilterSet = Mapping[LayerSpec, Numbers] | Mapping[str, Numbers] | Mapping[int, Numbers]
"""Filters of one or several layers: layer (number or name) to the numbers of its filters."""

Members = Mapping[str, Ints]
"""The same with the layers by name, in running order, and ascending filters."""


def members_of(filters: FilterSet, layers: LayerTable) -> dict[str, Ints]:
    """Name the layers of a set, put everything in order and check that it exists.

    Raises:
        PathLensError: If the set is empty, or a layer or filter does not exist.
    """
    chosen: dict[str, Ints] = {}
    for spec, numbers in filters.items():
        layer = layers.find(spec)
        wanted = np.unique(np.concatenate([chosen.get(layer.name, []), np.atleast_1d(numbers)]))
        wanted = wanted.astype(np.int64)
        if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < layer.filters:
            raise PathLensError(
                f"Layer {layer.name} has no filter {int(wanted[0] if wanted[0] < 0 else wanted[-1])}:"
                f" its filters are numbered from 0 to {layer.filters - 1}."
            )
        chosen[layer.name] = wanted
    ordered = {name: chosen[name] for name in layers.names if len(chosen.get(name, ()))}
    if not ordered:
        raise PathLensError("A set without filters was given: name at least one filter of a layer.")
    return ordered


def written(members: Members) -> str:
    """A set as text: `layer:filter+filter` for each layer, apart by spaces."""
    return " ".join(f"{name}:{'+'.join(map(str, filters))}" for name, filters in members.items())


class Bench:
    """Chosen images and their network; the own paths have been run once.

    Attributes:
        subject: The recording with its network and images.
        rows: int64 (images,), rows of the recording.
        labels: int64 (images,), true classes.
        gates: Layer name to the recorded gates, bool (images, filters).
        own: Class scores on the own paths, float64 (images, classes).
        strengths: Layer name to the mean root mean square of each filter's output before its gate,
            float64 (filters,).
        contributions: The same of the output behind the gate: off counts as 0.
    """

    def __init__(
        self, subject: Subject, rows: Ints, *, device: str = "cpu", batch_size: int = 256
    ) -> None:
        self.subject = subject
        self.rows = rows
        self.labels = subject.labels[rows]
        self.gates: dict[str, Bits] = {n: bits[rows] for n, bits in subject.gates().items()}
        self._settings: dict[str, Any] = {"device": device, "batch_size": batch_size}
        self._run_own_paths()

    def _run_own_paths(self) -> None:
        collected: list[Floats] = []
        magnitudes: dict[str, list[Floats]] = {name: [] for name in self.gates}
        with gathering(self.subject.network) as outputs:
            passes = self.subject.run(self.rows, self._own_gates, magnitudes=True, **self._settings)
            for _, scores, path in passes:
                collected.append(scores.double().cpu().numpy())
                for name, strength in path.magnitudes.items():
                    magnitudes[name].append(strength.double().cpu().numpy())
        self.own: Floats = np.concatenate(collected)
        each = {name: np.concatenate(parts) for name, parts in magnitudes.items()}
        self.strengths: dict[str, Floats] = {n: s.mean(axis=0) for n, s in each.items()}
        self.contributions: dict[str, Floats] = {
            name: (strength * self.gates[name]).mean(axis=0) for name, strength in each.items()
        }
        self._means = outputs.means(len(self.rows))

    def _own_gates(self, places: slice) -> dict[int | str, Any]:
        return {name: torch.from_numpy(bits[places]).float() for name, bits in self.gates.items()}

    @property
    def predictions(self) -> Ints:
        """Classes predicted on the own paths, int64 (images,)."""
        return np.asarray(self.own.argmax(axis=1), dtype=np.int64)

    def scores(self, members: Members, mode: Mode = "off", effect: Effect = "total") -> Floats:
        """Class scores with some filters forced, float64 (images, classes).

        Images whose own paths have these filters so already keep their scores without being run.

        Args:
            members: The filters.
            mode: "off" and "on" force their gates; "mean" puts the mean over images and places in
                the place of their gated outputs.
            effect: "total" lets all other gates be decided anew from what the layers then see;
                "direct" keeps them as they were recorded.
        """
        changed = self._changed(members, mode)
        scores = self.own.copy()
        with self._replacement(members, mode):
            passes = self.subject.run(
                self.rows[changed],
                lambda places: self._forced(members, mode, effect, changed[places]),
                **self._settings,
            )
            for places, found, _ in passes:
                scores[changed[places]] = found.double().cpu().numpy()
        return scores

    def _changed(self, members: Members, mode: Mode) -> Ints:
        """Positions of the images for which anything is different."""
        if mode == "mean":
            return np.arange(len(self.rows), dtype=np.int64)
        differs = [(self.gates[n][:, f] != (mode == "on")).any(axis=1) for n, f in members.items()]
        return np.flatnonzero(np.any(differs, axis=0))

    def _forced(
        self, members: Members, mode: Mode, effect: Effect, positions: Ints
    ) -> dict[int | str, Any]:
        force: dict[int | str, Any] = {}
        for name in self.gates if effect == "direct" else members:
            bits = self.gates[name]
            gates = np.full((len(positions), bits.shape[1]), np.nan, dtype=np.float32)
            if effect == "direct":
                gates[:] = bits[positions]
            if mode != "mean" and name in members:
                gates[:, members[name]] = mode == "on"
            force[name] = torch.from_numpy(gates)
        return force

    def _replacement(self, members: Members, mode: Mode) -> AbstractContextManager[None]:
        if mode != "mean":
            return nullcontext()
        return replaced(
            self.subject.network,
            {n: (torch.from_numpy(f), self._means[n][f]) for n, f in members.items()},
        )


def check_choice(name: str, value: str, kind: Any) -> None:
    """Refuse what a literal type does not list.

    Raises:
        PathLensError: If `value` is none of them.
    """
    if value not in get_args(kind):
        raise PathLensError(
            f"{name} '{value}' is unknown: choose from {', '.join(get_args(kind))}."
        )
