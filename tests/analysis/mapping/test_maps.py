import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pathlens.analysis import path_map
from pathlens.analysis.mapping.map_quality import kept_by_chance, neighbours_kept
from pathlens.analysis.mapping.maps import unique_rows
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted


@pytest.fixture(scope="module")
def mapped():
    bits, labels = planted(0, images=150, classes=3, filters=30, noise=0.05)
    bits[7] = bits[3]
    bits[9] = bits[3]
    recording = make_recording(bits, labels, classes="abc", prediction=labels)
    return recording, path_map(recording, "conv")


def test_same_path_means_same_place(mapped):
    recording, found = mapped
    assert len(found.frame) == 150
    assert found.unique_paths == len({row.tobytes() for row in recording.bits("conv")})
    places = found.frame.loc[[3, 7, 9], ["x", "y"]]
    assert len(places.drop_duplicates()) == 1
    assert found.frame["copies"][3] >= 3
    assert (found.frame.groupby(["x", "y"]).size() == found.frame.groupby(["x", "y"])["copies"].first()).all()  # fmt: skip


def test_planted_groups_lie_together(mapped):
    _, found = mapped
    places = found.frame[["x", "y"]].to_numpy()
    labels = found.frame["label"].to_numpy()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    same = labels[:, None] == labels[None]
    assert distances[same].mean() < 0.5 * distances[~same].mean()
    assert found.neighbours_kept > 3 * found.neighbours_by_chance


def test_map_repeats_whatever_the_number_of_threads():
    recording = make_recording(planted(1, images=600, filters=40, noise=0.2)[0])
    frames = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            frames.append(path_map(recording).frame)
    assert frames[0].equals(frames[1])


def test_neighbours_kept_against_loops():
    rng = np.random.default_rng(0)
    paths, _, _ = unique_rows(rng.random((40, 9)) < 0.5)
    layout = rng.normal(size=(len(paths), 2))
    kept = []
    for i in range(len(paths)):
        true = np.array([(paths[i] != row).sum() if k != i else 99 for k, row in enumerate(paths)])
        drawn = np.linalg.norm(layout - layout[i], axis=1)
        drawn[i] = np.inf
        tenth = np.sort(true)[9]
        kept += [true[k] <= tenth for k in np.argsort(drawn)[:10]]
    assert neighbours_kept(paths, layout) == pytest.approx(np.mean(kept))
    line = np.tri(12, 12, dtype=bool)
    straight = np.column_stack([line.sum(axis=1), np.zeros(12)])
    assert neighbours_kept(line, straight) == 1


def test_too_few_paths_give_no_map():
    bits = np.arange(40)[:, None] % 4 == np.arange(4)
    found = path_map(make_recording(bits, np.arange(40) % 4, classes="abcd"))
    assert found.frame.empty
    assert list(found.frame.columns) == ["image", "x", "y", "label", "prediction", "copies"]
    assert "only 4 different paths" in found.summary()


def test_five_paths_are_enough_and_sampling_is_said():
    bits = np.repeat(np.tri(5, 6, dtype=bool), 10, axis=0)
    found = path_map(make_recording(bits), max_images=45)
    assert found.unique_paths == 5
    assert np.isfinite(found.frame[["x", "y"]]).all(axis=None)
    assert (found.frame["label"] == -1).all()
    assert found.left_out == "5 of 50 images, by seed"


def test_bad_options_are_one_sentence():
    recording = make_recording(np.eye(8, dtype=bool))
    with pytest.raises(PathLensError, match="Unknown map method 'tsn'"):
        path_map(recording, method="tsn")
    with pytest.raises(PathLensError, match="max_images"):
        path_map(recording, max_images=0)


def test_chance_is_the_share_of_random_neighbours():
    rng = np.random.default_rng(0)
    paths, _, _ = unique_rows(rng.random((300, 40)) < 0.5)
    places = rng.normal(size=(300, 2))
    # Without ties 10 of 299 others are near; ties with the tenth add some.
    assert 10 / 299 < kept_by_chance(paths, places) < 0.09
    assert kept_by_chance(paths, places, 3) == kept_by_chance(paths, places, 3)


def test_quality_needs_no_matrix_of_all_pairs():
    rng = np.random.default_rng(0)
    paths, _, _ = unique_rows(rng.random((5000, 24)) < 0.5)
    places = rng.normal(size=(len(paths), 2))
    neighbours_kept(paths[:10], places[:10])
    tracemalloc.start()
    neighbours_kept(paths, places)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(paths) ** 2


def test_images_that_share_a_place_are_no_trouble_for_the_measure():
    paths, _, _ = unique_rows(np.random.default_rng(0).random((60, 20)) < 0.5)
    assert 0 <= neighbours_kept(paths, np.zeros((60, 2))) <= 1


def test_an_image_of_the_map_is_placed_where_it_lies(mapped):
    recording, found = mapped
    placed = found.place(recording)
    assert list(placed.columns) == ["image", "x", "y", "apart"]
    assert placed["image"].tolist() == recording.images["image"].tolist()
    assert placed[["x", "y"]].equals(found.frame[["x", "y"]])
    assert (placed["apart"] == 0).all()


def test_new_images_land_among_their_own_and_whatever_else_is_placed():
    bits, labels = planted(4, images=260, classes=3, filters=40, noise=0.06)
    found = path_map(make_recording(bits[:200], labels[:200], classes="abc"))
    new = np.vstack([bits[200:], bits[200:203]])
    placed = found.place(new)
    places = placed[["x", "y"]].to_numpy()
    assert np.array_equal(places[:3], places[-3:])
    assert placed["apart"].tolist() == [(bits[:200] != row).sum(axis=1).min() for row in new]
    known = found.frame[["x", "y"]].to_numpy()
    nearest = np.linalg.norm(places[:, None] - known[None], axis=2).argmin(axis=1)
    assert (labels[:200][nearest] == np.append(labels[200:], labels[200:203])).mean() > 0.95
    alone = found.place(new[5:9])[["x", "y"]].to_numpy()
    assert alone == pytest.approx(places[5:9], abs=1e-9)
    assert found.place(new[:0]).empty


def test_placing_what_does_not_fit_is_one_sentence(mapped):
    _, found = mapped
    with pytest.raises(PathLensError, match="30 filters"):
        found.place(np.zeros((2, 29), dtype=bool))
    with pytest.raises(PathLensError, match="30 filters"):
        found.place(np.zeros((2, 30)))
    with pytest.raises(PathLensError, match="no layer conv with 30 filters"):
        found.place(make_recording(np.zeros((2, 31), dtype=bool)))
    none = path_map(make_recording(np.eye(3, dtype=bool)))
    with pytest.raises(PathLensError, match="Nothing can be placed: there is no map"):
        none.place(np.eye(3, dtype=bool))
