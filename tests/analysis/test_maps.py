import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pathlens.analysis import path_map
from pathlens.analysis.maps import _neighbours_kept, unique_rows
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
    assert _neighbours_kept(paths, layout) == pytest.approx(np.mean(kept))
    line = np.tri(12, 12, dtype=bool)
    straight = np.column_stack([line.sum(axis=1), np.zeros(12)])
    assert _neighbours_kept(line, straight) == 1


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
