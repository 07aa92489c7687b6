from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pathlens.analysis.neighbours import nearest
from pathlens.errors import PathLensError


def by_sorting(paths, queries, count, same):
    distances, indices = [], []
    for query, own in zip(queries, same, strict=True):
        apart = [int((query != path).sum()) for path in paths]
        order = [i for i in sorted(range(len(paths)), key=lambda i: (apart[i], i)) if i != own]
        indices.append(order[:count])
        distances.append([apart[i] for i in order[:count]])
    return distances, indices


@pytest.mark.parametrize("filters", [1, 7, 64, 65, 255, 256, 300])
def test_neighbours_equal_a_full_sort_with_ties_by_index(filters):
    rng = np.random.default_rng(filters)
    paths = rng.random((70, filters)) < 0.3
    paths[35:] = paths[rng.integers(0, 35, 35)]
    found = nearest(paths, count=6)
    slow = by_sorting(paths, paths, 6, range(70))
    assert [x.tolist() for x in found] == [list(x) for x in slow]


@pytest.mark.parametrize("rows", [511, 512, 513, 1100])
def test_blocks_of_rows_join(rows):
    rng = np.random.default_rng(rows)
    paths = rng.random((rows, 20)) < 0.5
    queries = rng.random((9, 20)) < 0.5
    found = nearest(paths, queries, 4)
    slow = by_sorting(paths, queries, 4, [-1] * 9)
    assert [x.tolist() for x in found] == [list(x) for x in slow]


def test_distances_equal_scikit_learn_by_both_metrics():
    rng = np.random.default_rng(0)
    paths = rng.random((900, 130)) < 0.4
    distances, indices = nearest(paths)
    floats = paths.astype(np.float32)
    euclidean = NearestNeighbors(n_neighbors=15, algorithm="brute").fit(floats).kneighbors()[0]
    hamming = NearestNeighbors(n_neighbors=15, algorithm="brute", metric="hamming").fit(paths)
    np.testing.assert_array_equal(distances, np.round(euclidean**2))
    np.testing.assert_array_equal(distances, np.round(130 * hamming.kneighbors()[0]))
    np.testing.assert_array_equal(distances, (paths[:, None] != paths[indices]).sum(axis=2))


def test_a_query_among_the_paths_is_not_its_own_neighbour_but_its_copy_is():
    paths = np.eye(5, dtype=bool)[[0, 1, 0, 2]]
    distances, indices = nearest(paths, paths[:2], 1, same=np.array([0, -1]))
    assert distances.tolist() == [[0], [0]]
    assert indices.tolist() == [[2], [1]]


def test_the_result_does_not_depend_on_threads():
    rng = np.random.default_rng(3)
    paths = rng.random((700, 12)) < 0.5
    one, three = (nearest(paths, count=9, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_paths_without_filters_are_all_alike():
    distances, indices = nearest(np.zeros((4, 0), dtype=bool), count=2)
    assert distances.tolist() == [[0, 0]] * 4
    assert indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_bad_input_is_said():
    paths = np.zeros((5, 3), dtype=bool)
    with pytest.raises(PathLensError, match=r"5 neighbours .* among 4 other"):
        nearest(paths, count=5)
    assert nearest(paths, paths, 5)[1].tolist() == [[0, 1, 2, 3, 4]] * 5
    with pytest.raises(PathLensError, match="at least two"):
        nearest(paths[:1], count=1)
    with pytest.raises(PathLensError, match="2 filters and the paths 3"):
        nearest(paths, paths[:, :2], 1)
    with pytest.raises(PathLensError, match="one position below 5"):
        nearest(paths, paths[:2], 1, same=np.array([0, 5]))


def test_numba_is_imported_by_the_first_search_only():
    code = "import sys, pathlens.analysis.neighbours; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
