"""What every method of drawing a map offers, and where their layouts start."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pathlens.analysis.source import Bits, Floats


class MapMethod(Protocol):
    """A way to lay out paths in the plane; settings are attributes of a frozen dataclass."""

    def lay_out(self, paths: Bits, seed: int) -> Floats:
        """Places of the paths: float64 (paths, 2); the same whatever the number of threads.

        Args:
            paths: bool (paths, filters), each path once, at least five of them.
            seed: Seed of everything that is random.
        """
        ...

    def place(self, new: Bits, paths: Bits, places: Floats) -> Floats:
        """Places of other paths on a map that stays as it is: float64 (new, 2).

        The place of a path does not depend on what else is placed with it.

        Args:
            new: bool (new, filters), paths that are not on the map.
            paths: bool (paths, filters), the paths on the map.
            places: float64 (paths, 2), where they lie.
        """
        ...


def principal_places(paths: Bits, seed: int) -> Floats:
    """First two principal components, the wider 1e-4 wide: where a layout starts.

    A start that shows the coarse structure keeps it in the layout (Kobak & Linderman 2021).

    Args:
        paths: bool (paths, filters).
        seed: Seed of the randomised decomposition that large matrices take.
    """
    from sklearn.decomposition import PCA

    found = PCA(2, random_state=seed).fit_transform(paths.astype(np.float32)).astype(np.float64)
    return np.asarray(1e-4 * found / max(float(found[:, 0].std()), np.finfo(float).tiny))
