"""Accuracies of groups before and after, with intervals and random sets beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import percentile_interval
from pathlens.probing.interventions import Bench, Effect, Members
from pathlens.probing.resampling import chance_of_control, resample_within, spread
from pathlens.probing.shortcut_result import ALL_IMAGES, WORST_GROUP
from pathlens.probing.shortcut_search import Groups
from pathlens.progress import progress_bar

_WORST, _EVERYTHING = -2, -1


@dataclass(frozen=True)
class Measurement:
    """How a set of filters is measured.

    Attributes:
        target: Name of the shortcut's class.
        attribute: Name of its attribute.
        effect: See `Bench.scores`.
        resamples: Bootstrap resamples of images.
        progress: Whether to show a progress bar.
    """

    target: str
    attribute: str
    effect: Effect
    resamples: int
    progress: bool

    def table(
        self,
        bench: Bench,
        groups: Groups,
        members: Members,
        others: Sequence[Members],
        rng: np.random.Generator,
    ) -> pd.DataFrame:
        """A row for the worst group, all images and each group; columns as `Shortcut.frame` has them.

        Args:
            bench: The images.
            groups: Their groups.
            members: The filters to gate off; none changes nothing.
            others: Random sets.
            rng: Draws the resamples.
        """
        rights = self._rights(bench, [members, *others] if members else [{}])
        drawn = [resample_within(groups.codes, rng) for _ in range(self.resamples)]
        rows = []
        for name, code in self._groups(groups).items():
            before, changed, *random = _accuracies(rights, groups, code)
            resampled = np.array(
                [_accuracies(rights[:2, d], _redrawn(groups, d), code) for d in drawn]
            )
            low, high = percentile_interval(resampled[:, 1] - resampled[:, 0])
            beside = np.asarray(random) - before
            rows.append(
                {
                    "group": name,
                    "images": int((groups.codes == code).sum()) if code >= 0 else len(bench.rows),
                    "own": before,
                    "ablated": changed,
                    "change": changed - before,
                    "low": float(low),
                    "high": float(high),
                    "controls": len(beside),
                    **spread(beside),
                    "p": chance_of_control(changed - before, beside),
                }
            )
        return pd.DataFrame(rows)

    def _rights(self, bench: Bench, sets: Sequence[Members]) -> Bits:
        """Which images are right on their own paths, and without each set: bool (1 + sets, images)."""
        found = [bench.predictions == bench.labels]
        for members in progress_bar(sets, desc="shortcut", shown=self.progress):
            scores = bench.scores(members, "off", self.effect)
            found.append(scores.argmax(axis=1) == bench.labels)
        return np.stack(found)

    def _groups(self, groups: Groups) -> dict[str, int]:
        sides = [
            f"{who} {how} {self.attribute}"
            for who in ("others", self.target)
            for how in ("without", "with")
        ]
        present = {sides[code]: code for code in np.unique(groups.codes).tolist()}
        return {WORST_GROUP: _WORST, ALL_IMAGES: _EVERYTHING, **present}


def _accuracies(rights: Bits, groups: Groups, code: int) -> list[float]:
    """Accuracy of a group, of the worst one or of all images, for each row of bool (runs, images)."""
    if code == _WORST:
        return [groups.worst(right) for right in rights]
    places: Any = slice(None) if code == _EVERYTHING else groups.codes == code
    found: Floats = rights[:, places].mean(axis=1)
    return [float(value) for value in found]


def _redrawn(groups: Groups, drawn: Ints) -> Groups:
    return Groups(groups.codes[drawn], groups.counted)
