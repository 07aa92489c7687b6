"""Which filters hold a decision up: ablate them, and see whether the image changes its class."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.path import Path
from pathlens.probing.response_maps import Filter
from pathlens.training.evaluation import scores_of

Scores = npt.NDArray[np.float64]
Step = Callable[[int], Any]

LARGEST_SET = 8
"""Filters in a set that is searched, at most."""
POOL = 32
"""Filters that the search may choose among, at most: those whose own ablation weighs most."""
RANDOM_SETS = 100
"""Other sets to compare with, at most."""
_BUDGET = 30e9
"""Multiply-adds that single ablations may take by default: about two seconds of one core."""
_FEWEST = 64


@dataclass(frozen=True)
class Flips:
    """What ablations of one image's filters do to its decision.

    The effect is total: the gates of later layers are decided anew. The *margin* is the logit of the
    predicted class less the largest other one; a decision flips where it falls below 0.

    Attributes:
        margin: The margin of the image as it is.
        singles: A row a filter that was ablated alone, by falling drop: name, filter, margin (without
            it), drop (of the margin), becomes (position of the class it is then taken for), flips.
        untried: Number of filters that are on but were not ablated: of those, a first-order estimate
            of the drop is smallest.
        members: The smallest set found whose ablation flips the decision; the one that lowered the
            margin most where none did. No smaller set inside it flips the decision.
        flips: Whether its ablation does.
        becomes: Position of the class that the image is then taken for.
        drop: By how much its ablation lowers the margin.
        others: Number of other sets that were ablated to compare with, of equally many filters that
            are on in the same layers: all there are, or `RANDOM_SETS` different ones by chance.
        others_flip: Share of them that flip the decision; NaN where there are none.
        others_drop: Mean of their drops; NaN where there are none.
    """

    margin: float
    singles: pd.DataFrame = field(repr=False)
    untried: int
    members: tuple[Filter, ...]
    flips: bool
    becomes: int
    drop: float
    others: int
    others_flip: float
    others_drop: float


@torch.no_grad()
def scores_without(
    network: DecoupledNetwork,
    x: Tensor,
    sets: Sequence[Sequence[Filter]],
    *,
    batch_size: int,
    step: Step | None = None,
) -> Scores:
    """Class scores of one image under many ablations, the gates of other filters decided as ever.

    Args:
        network: In eval mode.
        x: The normalised image (1, 3, H, W), on the network's device.
        sets: Filters to force off together, a set a forward pass of the image.
        batch_size: Sets that are run together.
        step: Called with the number of sets that were run.

    Returns:
        float64 (sets, classes).
    """
    found = []
    for start in range(0, len(sets), batch_size):
        part = sets[start : start + batch_size]
        force = _forced_off(network, part)
        batch = x.expand(len(part), -1, -1, -1)
        output, _ = network.with_path(batch, force=force, gates="hard", responses=False)
        found.append(scores_of(output).double().cpu().numpy())
        if step is not None:
            step(len(part))
    return np.concatenate(found)


def _forced_off(
    network: DecoupledNetwork, sets: Sequence[Sequence[Filter]]
) -> dict[int | str, Tensor]:
    """Gates to force, layer by layer: 0 for the members of each set, NaN for all others."""
    force: dict[int | str, Tensor] = {}
    for row, members in enumerate(sets):
        for name, number in members:
            if name not in force:
                filters = network.layers.find(name).filters
                force[name] = torch.full((len(sets), filters), torch.nan)
            force[name][row, number] = 0.0
    return force


def find_flips(
    network: DecoupledNetwork,
    x: Tensor,
    path: Path,
    scores: Scores,
    *,
    passes: int | None = None,
    seed: int = 0,
    step: Step | None = None,
) -> Flips:
    """Ablate the filters that are on one by one, then search a set that flips the decision.

    Where a single filter flips it, the set is the one that lowers the margin most. Else it is grown
    greedily from that one: the filter is added that lowers the margin most, until the decision flips
    or there are `LARGEST_SET`; members that are not needed are taken out again.

    Args:
        network: In eval mode.
        x: The normalised image (1, 3, H, W), on the network's device.
        path: Its own path.
        scores: Its own class scores (classes,).
        passes: Filters that are ablated one by one, at most; None for as many as take about two
            seconds on one core, and no fewer than 64.
        seed: Draws the random sets.
        step: Called with the number of forward passes done.
    """
    search = _Search(network, x, int(scores.argmax()), _batch_size(x), step)
    own = float(search.margins(scores[None])[0])
    on = [
        (name, int(i)) for name in path for i in np.flatnonzero(path[name][0].cpu().numpy() > 0.5)
    ]
    most = passes or max(_FEWEST, int(_BUDGET / network.cost.dense))
    tried = on if len(on) <= most else search.strongest(path, on, most)
    singles = search.singles(tried, own)
    members = search.set_of(singles, pool=min(POOL, max(8, most // 4)))
    sets = _other_sets(members, on, min(RANDOM_SETS, most), np.random.default_rng(seed))
    without = search.run([members]) if members else scores[None]
    drawn = search.run(sets) if sets else np.empty((0, len(scores)))
    return Flips(
        margin=own,
        singles=singles,
        untried=len(on) - len(tried),
        members=members,
        flips=bool(search.flipped(without)[0]),
        becomes=int(without[0].argmax()),
        drop=own - float(search.margins(without)[0]),
        others=len(sets),
        others_flip=float(search.flipped(drawn).mean()) if sets else float("nan"),
        others_drop=own - float(search.margins(drawn).mean()) if sets else float("nan"),
    )


def _batch_size(x: Tensor) -> int:
    """Images that are run together: 64 of 64 px, fewer of larger ones, as memory is."""
    return max(4, min(64, 64**3 // (x.shape[2] * x.shape[3])))


@dataclass(frozen=True)
class _Search:
    """Ablations of one image that was taken for the class at position `predicted`."""

    network: DecoupledNetwork
    x: Tensor
    predicted: int
    batch_size: int
    step: Step | None

    def run(self, sets: Sequence[Sequence[Filter]]) -> Scores:
        """Class scores (sets, classes) without the filters of each set."""
        return scores_without(
            self.network, self.x, sets, batch_size=self.batch_size, step=self.step
        )

    def margins(self, scores: Scores) -> Scores:
        """Margins (sets,) of the predicted class, of scores (sets, classes)."""
        others = np.delete(scores, self.predicted, axis=1)
        return np.asarray(scores[:, self.predicted] - others.max(axis=1, initial=-np.inf))

    def flipped(self, scores: Scores) -> npt.NDArray[np.bool_]:
        """Whether each of (sets, classes) has another largest score."""
        return np.asarray(scores.argmax(axis=1) != self.predicted)

    def singles(self, filters: Sequence[Filter], own: float) -> pd.DataFrame:
        """The table of single ablations, by falling drop."""
        scores = self.run([[one] for one in filters]) if filters else np.empty((0, 2))
        margins = self.margins(scores)
        frame = pd.DataFrame(
            {
                "name": [name for name, _ in filters],
                "filter": np.asarray([number for _, number in filters], dtype=np.int64),
                "margin": margins,
                "drop": own - margins,
                "becomes": scores.argmax(axis=1),
                "flips": self.flipped(scores),
            }
        )
        return frame.sort_values("drop", ascending=False, kind="stable", ignore_index=True)

    def strongest(self, path: Path, on: Sequence[Filter], most: int) -> list[Filter]:
        """The filters whose gates have the largest gradient of the margin, in running order."""
        with torch.enable_grad():
            gates = {name: path[name].detach().clone().requires_grad_() for name in path}
            output, _ = self.network.with_path(
                self.x, force=dict(gates.items()), gates="hard", responses=False
            )
            scores = scores_of(output)[0]
            others = torch.cat([scores[: self.predicted], scores[self.predicted + 1 :]])
            slopes = torch.autograd.grad(
                scores[self.predicted] - others.max(), list(gates.values()), allow_unused=True
            )
        slope = {
            name: np.zeros(len(gates[name][0])) if s is None else s[0].cpu().numpy()
            for name, s in zip(gates, slopes, strict=True)
        }
        estimates = np.array([slope[name][number] for name, number in on])
        return [on[i] for i in np.sort(np.argsort(-estimates, kind="stable")[:most])]

    def set_of(self, singles: pd.DataFrame, pool: int) -> tuple[Filter, ...]:
        """The set that flips the decision, grown greedily from the strongest filter."""
        names, numbers = singles["name"].head(pool), singles["filter"].head(pool)
        choices = [(str(name), int(i)) for name, i in zip(names, numbers, strict=True)]
        members, done = choices[:1], bool(singles["flips"].head(1).any())
        while not done and len(members) < min(LARGEST_SET, len(choices)):
            sets = [[*members, one] for one in choices if one not in members]
            scores = self.run(sets)
            best = int(self.margins(scores).argmin())
            members, done = sets[best], bool(self.flipped(scores)[best])
        return tuple(self._pruned(members) if done and len(members) > 1 else members)

    def _pruned(self, members: list[Filter]) -> list[Filter]:
        """Without members that the flip does not need, until every one is needed."""
        while len(members) > 1:
            smaller = [[one for one in members if one != left] for left in members]
            scores = self.run(smaller)
            flipped = self.flipped(scores)
            if not flipped.any():
                break
            margins = np.where(flipped, self.margins(scores), np.inf)
            members = smaller[int(margins.argmin())]
        return members


def _other_sets(
    members: Sequence[Filter], on: Sequence[Filter], count: int, rng: np.random.Generator
) -> list[list[Filter]]:
    """Other sets of as many filters that are on in the same layers: all, or `count` by chance."""
    layers = sorted({name for name, _ in members})
    there = [[one for one in on if one[0] == name] for name in layers]
    sizes = [sum(one[0] == name for one in members) for name in layers]
    possible = math.prod(math.comb(len(t), size) for t, size in zip(there, sizes, strict=True)) - 1
    if possible <= count:
        choices = [itertools.combinations(t, size) for t, size in zip(there, sizes, strict=True)]
        all_sets = [list(itertools.chain(*one)) for one in itertools.product(*choices)]
        return [one for one in all_sets if set(one) != set(members)]
    drawn: dict[frozenset[Filter], list[Filter]] = {}
    while len(drawn) < count:
        one = [
            t[i]
            for t, size in zip(there, sizes, strict=True)
            for i in rng.choice(len(t), size, replace=False)
        ]
        if set(one) != set(members):
            drawn[frozenset(one)] = one
    return list(drawn.values())
