import numpy as np
import pytest
from sklearn.manifold import TSNE as Peer
from threadpoolctl import threadpool_limits

from pathlens.analysis.mapping.map_quality import kept_by_chance, neighbours_kept
from pathlens.analysis.mapping.maps import unique_rows
from pathlens.analysis.mapping.methods import TSNE, UMAP
from pathlens.analysis.mapping.methods.base import principal_places
from tests.analysis.conftest import planted


def paths_of(seed, images=250, noise=0.15, filters=40):
    bits, _ = planted(seed, images=images, classes=5, filters=filters, noise=noise)
    return unique_rows(bits)[0]


def test_start_is_the_first_two_principal_components_made_small():
    paths = paths_of(0)
    centred = paths - paths.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    slow = left[:, :2] * values[:2]
    found = principal_places(paths, 0)
    assert found.std(axis=0).max() == pytest.approx(1e-4)
    for column in range(2):
        assert abs(np.corrcoef(found[:, column], slow[:, column])[0, 1]) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(2))
def test_tsne_keeps_as_many_neighbours_as_scikit_learn(seed):
    paths = paths_of(seed)
    ours = neighbours_kept(paths, TSNE().lay_out(paths, seed))
    peer = Peer(init="pca", random_state=seed, n_jobs=1).fit_transform(paths.astype(np.float32))
    assert ours > neighbours_kept(paths, np.asarray(peer, dtype=float)) - 0.02
    assert ours > 3 * kept_by_chance(paths, ours * np.ones((len(paths), 2)))


def test_tsne_affinities_have_the_perplexity_that_was_asked_for():
    paths = paths_of(1)
    dense = TSNE(perplexity=12)._affinities(paths, None).toarray()
    assert dense.sum(axis=1) == pytest.approx(np.ones(len(paths)))
    assert (np.diag(dense) == 0).all()
    entropy = -(dense * np.log2(np.where(dense > 0, dense, 1))).sum(axis=1)
    assert 2**entropy == pytest.approx(np.full(len(paths), 12), rel=0.01)
    # P falls exponentially with the number of filters: one slope a row.
    apart = (paths[:, None] != paths[None]).sum(axis=2)
    for row, counts in zip(dense, apart, strict=True):
        slope, _ = np.polyfit(counts[row > 1e-9], np.log(row[row > 1e-9]), 1, full=True)[:2]
        fitted = np.polyval(slope, counts[row > 1e-9])
        assert fitted == pytest.approx(np.log(row[row > 1e-9]), abs=1e-3)


def test_tsne_repeats_whatever_the_number_of_threads_and_differs_from_its_start():
    paths = paths_of(2)
    layouts = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            layouts.append(TSNE().lay_out(paths, 0))
    assert np.array_equal(*layouts)
    assert np.ptp(layouts[0]) > 1


def test_tsne_placing_keeps_more_neighbours_than_the_nearest_path_alone_could_by_chance():
    paths = paths_of(3, images=400)
    known, new = paths[::2], paths[1::2]
    method = TSNE()
    places = method.lay_out(known, 0)
    before = places.copy()
    placed = method.place(new, known, places)
    assert np.array_equal(places, before)
    distances = (new[:, None] != known[None]).sum(axis=2)
    tenth = np.sort(distances, axis=1)[:, 9]
    near = np.linalg.norm(placed[:, None] - places[None], axis=2).argsort(axis=1)[:, :10]
    kept = (np.take_along_axis(distances, near, axis=1) <= tenth[:, None]).mean()
    assert kept > 5 * (distances <= tenth[:, None]).mean()


def test_few_paths_are_enough_for_tsne():
    paths = np.tri(5, 6, dtype=bool)
    assert np.isfinite(TSNE().lay_out(paths, 0)).all()
    placed = TSNE().place(~paths, paths, TSNE().lay_out(paths, 0))
    assert placed.shape == (5, 2)
    assert np.isfinite(placed).all()


@pytest.mark.slow
def test_umap_of_separate_parts_repeats_and_keeps_neighbours():
    # Groups so far apart that the graph of neighbours falls into parts, where umap's start fails.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.eye(4, dtype=bool), 40, axis=1)[np.arange(240) % 4]
    paths = unique_rows(groups ^ (rng.random((240, 160)) < 0.03))[0]
    one, same = UMAP().lay_out(paths, 0), UMAP().lay_out(paths, 0)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, UMAP().lay_out(paths, 1))
    assert neighbours_kept(paths, one) > 4 * kept_by_chance(paths, one)
    apart = (paths[:, None] != paths[None]).sum(axis=2)
    assert np.array_equal(
        UMAP(placing=3).place(paths[:7] ^ False, paths, one),
        np.stack([np.median(one[np.argsort(row, kind="stable")[:3]], axis=0) for row in apart[:7]]),
    )
    assert np.isfinite(UMAP().lay_out(np.tri(5, 6, dtype=bool), 0)).all()
