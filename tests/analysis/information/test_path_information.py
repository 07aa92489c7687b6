from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from pathlens.analysis.information.linear_probe import fold_of, held_out
from pathlens.analysis.information.path_information import (
    CEILING,
    COLUMNS,
    information_over_depth,
    path_information,
)
from pathlens.analysis.information.path_measures import Images, pair_distances, path_measures
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted


def values_of(result, code="paths", layer=None):
    frame = result.frame[result.frame["code"] == code]
    if layer is not None:
        frame = frame[frame["layer"] == layer]
    return frame.set_index("measure")["value"]


@pytest.mark.parametrize("seed", range(3))
def test_bits_without_relation_tell_nothing(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 800)
    found = path_information(make_recording(rng.random((800, 16)) < 0.5, labels), seed=seed)
    values = values_of(found)
    assert -0.2 < values["bound"] < 0.03
    assert abs(values["kNN accuracy"] - 0.25) < 0.07
    assert abs(values["linear accuracy"] - 0.25) < 0.07
    assert values["inter / intra Hamming"] == pytest.approx(1, abs=0.01)
    assert values["unique paths"] > 750
    rows = found.frame.set_index("measure")
    assert rows.loc["bound", "null"] < 0.03


def test_a_plug_in_estimate_of_the_same_bits_would_saturate():
    # The reason for a cross-fitted bound: nearly every path is unique and then names its class.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 4000)
    words = rng.integers(0, 2**16, 4000)
    _, joint = np.unique(words * 10 + labels, return_counts=True)
    entropies = [
        -(
            np.unique(x, return_counts=True)[1]
            / 4000
            * np.log2(np.unique(x, return_counts=True)[1] / 4000)
        ).sum()
        for x in (labels, words)
    ]
    assert sum(entropies) + (joint / 4000 * np.log2(joint / 4000)).sum() > 3
    bits = (words[:, None] >> np.arange(16) & 1).astype(bool)
    assert values_of(path_information(make_recording(bits, labels)))["bound"] < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_code_of_the_class_tells_nearly_all_of_it_and_never_more(seed):
    bits, labels = planted(seed, images=600, filters=40, noise=0.02)
    found = path_information(make_recording(bits, labels), seed=seed)
    values = values_of(found)
    assert found.entropy - 0.05 < values["bound"] <= found.entropy
    assert values["kNN accuracy"] > 0.99
    assert values["inter / intra Hamming"] > 3
    bound = found.frame.set_index("measure").loc["bound"]
    assert bound["low"] < bound["value"] < bound["high"] <= found.entropy
    assert bound["null"] < 0.05


def test_what_the_number_of_gates_tells_does_not_count_beyond_it():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1500)
    by_count = rng.random((1500, 20)) < np.array([0.15, 0.5, 0.85])[labels][:, None]
    values = values_of(path_information(make_recording(by_count, labels)))
    assert values["bound"] > 1
    assert abs(values["bound beyond gates on"]) < 0.05
    assert values["bound beyond gates on"] == pytest.approx(
        values["bound"] - values["bound from gates on"]
    )
    one_on = np.eye(3, dtype=bool)[labels]
    values = values_of(path_information(make_recording(one_on, labels)))
    assert values["bound beyond gates on"] > 1.4


def test_a_middle_count_is_told_by_the_square():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000)
    share = np.where(labels == 1, 0.5, rng.choice([0.05, 0.95], 1000))
    bits = rng.random((1000, 30)) < share[:, None]
    assert values_of(path_information(make_recording(bits, labels)))["bound from gates on"] > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_distances_of_pairs_equal_a_double_loop_also_in_bootstrap_samples(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 40)
    bits = rng.random((40, 9)) < 0.4
    weights = np.stack([np.ones(40), np.bincount(rng.integers(0, 40, 40), minlength=40)])
    found = pair_distances(bits, labels, 3, weights.astype(np.float32))
    for sample, weight in enumerate(weights):
        sums, pairs = np.zeros(2), np.zeros(2)
        for i, j in itertools.combinations(range(40), 2):
            kind = int(labels[i] != labels[j])
            sums[kind] += weight[i] * weight[j] * (bits[i] != bits[j]).mean()
            pairs[kind] += weight[i] * weight[j]
        within, between = sums / pairs
        assert found[:, sample].tolist() == pytest.approx([within, between, between / within])


def test_static_filters_change_nothing():
    bits, labels = planted(0, images=200)
    still = np.tile(np.array([True, False, True]), (200, 1))
    alone = path_information(make_recording(bits, labels)).frame
    beside = path_information(make_recording(np.hstack([bits, still]), labels)).frame
    for column in ("value", "low", "high", "null"):
        np.testing.assert_allclose(alone[column], beside[column], atol=1e-6)


def test_the_vote_equals_scikit_learn_leaving_one_out():
    bits, labels = planted(0, images=120, filters=40, noise=0.3)
    right = []
    for i in range(120):
        rest = np.arange(120) != i
        model = KNeighborsClassifier(15, algorithm="brute", metric="hamming")
        right.append(model.fit(bits[rest], labels[rest]).predict(bits[i : i + 1])[0] == labels[i])
    # Ties in distance and votes are broken in another way.
    found = values_of(path_information(make_recording(bits, labels)))
    assert found["kNN accuracy"] == pytest.approx(np.mean(right), abs=0.05)


def test_equally_near_paths_vote_in_random_order_as_recordings_are_sorted_by_class():
    labels = np.repeat([0, 1], [60, 240])
    values = values_of(path_information(make_recording(labels[:, None] * np.zeros(3) > 0, labels)))
    assert values["kNN accuracy"] > 0.7


def test_of_equally_frequent_classes_the_nearest_wins():
    paths = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]], dtype=bool)
    labels = np.array([0, 0, 1, 1])
    images = Images.draw(labels, folds=2, permutations=1, resamples=5, seed=0)
    # Three neighbours of the first: one of its class, two of the other.
    assert path_measures(images, [paths])["kNN accuracy"].value == 0
    paths, labels = paths[[0, 1, 2]], np.array([0, 0, 1])
    images = Images.draw(labels, folds=2, permutations=1, resamples=5, seed=0)
    assert path_measures(images, [paths])["kNN accuracy"].value == pytest.approx(2 / 3)


def test_no_image_is_predicted_by_a_classifier_that_saw_it():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    names = np.eye(60)
    parts = fold_of(labels, 5, rng)
    found = held_out(names, labels, parts, 2)
    assert found.correct.mean() < 0.7
    assert np.bincount(parts).tolist() == [12] * 5
    for one in (0, 1):
        shares = np.bincount(parts[labels == one], minlength=5)
        assert shares.max() - shares.min() <= 1


def test_probabilities_are_proper_where_a_class_is_unknown_to_the_classifier():
    labels = np.array([0] * 20 + [1] * 20 + [2])
    features = np.random.default_rng(0).random((41, 3))
    parts = np.arange(41) % 2
    total = np.zeros(41)
    for one in range(3):
        # Labels of the images asked about do not matter to what is predicted for them.
        asked = np.where(parts == 0, one, labels)
        total += np.where(parts == 0, 2 ** held_out(features, asked, parts, 3).log2, 0)
    assert total[parts == 0] == pytest.approx(1)
    assert np.isfinite(held_out(features, labels, parts, 3).log2).all()


def test_the_interval_holds_the_truth_of_a_larger_sample():
    held = []
    for seed in range(12):
        bits, labels = planted(seed, images=400, filters=20, noise=0.25)
        frame = path_information(make_recording(bits, labels), seed=seed, permutations=1).frame
        row = frame.set_index("measure").loc["intra-class Hamming"]
        held.append(row["low"] <= 2 * 0.25 * 0.75 <= row["high"])
    assert sum(held) >= 9


def test_layers_one_by_one_and_side_by_side_with_baseline_and_ceiling():
    bits, labels = planted(0, images=300)
    rng = np.random.default_rng(5)
    layers = {"a": bits[:, :4], "b": bits}
    data = make_recording(layers, labels, classes="wxyz")
    chance = make_recording({k: rng.random(v.shape) < 0.5 for k, v in layers.items()}, labels)
    ceiling = {"b": np.eye(4)[labels] + rng.normal(0, 0.1, (300, 4))}
    deep = information_over_depth(
        data, baselines={"chance": chance}, ceiling=ceiling, progress=False
    )
    assert list(deep.frame.columns) == COLUMNS
    assert values_of(deep, "chance", 2)["bound"] < 0.05 < values_of(deep, layer=1)["bound"]
    assert values_of(deep, CEILING, 2)["bound"] > deep.entropy - 0.2
    assert values_of(deep, CEILING, 1).empty
    assert "for 1 of 2 layers (not given)" in deep.left_out
    alone = path_information(data, "b")
    np.testing.assert_array_equal(values_of(alone), values_of(deep, layer=2))
    whole = path_information(data)
    assert whole.frame["layer"].unique().tolist() == [0]
    assert values_of(whole)["bound"] >= values_of(alone)["bound"] - 0.1
    for result in (deep, alone, whole):
        assert len(result.plot().axes) == 3
        assert "bits" in result.summary()
    full = {"a": ceiling["b"][:, :1], "b": ceiling["b"]}
    assert CEILING in set(path_information(data, ceiling=full).frame["code"])


def test_it_repeats_and_says_what_it_did_not_look_at():
    bits, labels = planted(0, images=300)
    labels[:40] = -1
    data = make_recording(bits, labels)
    one, same = (path_information(data, max_images=100, seed=2) for _ in range(2))
    assert one.frame.equals(same.frame)
    assert not one.frame.equals(path_information(data, max_images=100, seed=3).frame)
    assert one.images == 100
    assert one.left_out.startswith("160 of 260 images, by seed; 40 images of unknown class")


def test_awkward_recordings_get_an_answer(ten_classes):
    assert path_information(ten_classes)._repr_html_()
    still = path_information(ten_classes, "stem.still")
    values = values_of(still)
    assert values["bound"] == pytest.approx(0, abs=0.03)
    assert values["unique paths"] == 1
    assert still.plot()
    bits, labels = planted(0, images=30)
    alone = path_information(make_recording(bits, labels * 0))
    assert alone.frame.empty
    assert "one class" in alone.summary()
    assert alone.plot()
    for images in (2, 3, 5):
        few = make_recording(bits[:images], np.arange(images) % 2)
        assert path_information(few).plot()


def test_bad_input_is_said():
    bits, labels = planted(0, images=50)
    data = make_recording(bits, labels)
    with pytest.raises(PathLensError, match="neither labels nor predictions"):
        path_information(make_recording(bits))
    with pytest.raises(PathLensError, match="folds is 1"):
        path_information(data, folds=1)
    with pytest.raises(PathLensError, match="permutations is 0"):
        path_information(data, permutations=0)
    with pytest.raises(PathLensError, match=r"shape \(3, 2\).* 50 images"):
        path_information(data, ceiling={"conv": np.zeros((3, 2))})
    with pytest.raises(PathLensError, match="Unknown layer"):
        path_information(data, ceiling={"other": np.zeros((50, 2))})
