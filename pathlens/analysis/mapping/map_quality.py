"""How far a map can be trusted: the share of neighbours on it that are neighbours by path."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pathlens.analysis.neighbours import nearest
from pathlens.analysis.source import Bits, Floats, Ints

NEIGHBOURS = 10
_BLOCK = 1024


def neighbours_kept(paths: Bits, places: Floats, count: int = NEIGHBOURS) -> float:
    """Share of each path's nearest on the map that are among its nearest by Hamming distance.

    Averaged over paths. All that are as near as the last of the nearest count as nearest. Memory grows
    with paths times neighbours, not with the square of the paths.

    Args:
        paths: bool (paths, filters), each path once, at least two.
        places: float64 (paths, 2).
        count: Neighbours looked at; fewer where there are fewer other paths.
    """
    count = min(count, len(paths) - 1)
    furthest = nearest(paths, None, count, threads=1)[0][:, -1]
    return float((_apart(paths, _nearest_places(places, count)) <= furthest[:, None]).mean())


def kept_by_chance(paths: Bits, places: Floats, seed: int = 0, count: int = NEIGHBOURS) -> float:
    """The same for a map with its places dealt out at random."""
    return neighbours_kept(paths, np.random.default_rng(seed).permutation(places), count)


def _nearest_places(places: Floats, count: int) -> npt.NDArray[np.intp]:
    """Positions of the nearest on the map, without the path itself: (paths, count)."""
    from scipy.spatial import KDTree

    found = np.asarray(KDTree(places).query(places, count + 1)[1], dtype=np.intp)
    itself = found == np.arange(len(places))[:, None]
    # Where many share a place, the path itself may be missing among them: the last goes instead.
    itself[~itself.any(axis=1), -1] = True
    return np.asarray(found[~itself].reshape(len(places), count))


def _apart(paths: Bits, neighbours: npt.NDArray[np.intp]) -> Ints:
    """Hamming distance of each path to some others: int64 (paths, neighbours)."""
    apart = np.empty(neighbours.shape, dtype=np.int64)
    for start in range(0, len(paths), _BLOCK):
        block = slice(start, start + _BLOCK)
        for column, others in enumerate(neighbours[block].T):
            apart[block, column] = (paths[block] != paths[others]).sum(axis=1)
    return apart
