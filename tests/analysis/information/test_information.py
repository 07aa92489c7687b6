from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from pathlens.analysis.information.filter_information import filter_information
from pathlens.analysis.information.mutual_information import (
    gate_information,
    permutation_p,
    permuted_counts,
)
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted


def counts_of(bits, labels, classes):
    return np.stack([bits[labels == one].sum(axis=0) for one in range(classes)])


def informations(bits, labels, classes):
    on = counts_of(bits, labels, classes)
    sizes = np.bincount(labels, minlength=classes)
    return gate_information(on, on.sum(axis=0), sizes)


@pytest.mark.parametrize("seed", range(3))
def test_the_plug_in_estimate_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 90)
    bits = rng.random((90, 12)) < np.linspace(0, 1, 12)
    found, _ = informations(bits, labels, 6)
    slow = [mutual_info_score(labels, column) / np.log(2) for column in bits.T]
    assert found == pytest.approx(slow, abs=1e-9)


def test_the_correction_counts_occupied_cells():
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    bits = np.array([[1, 0, 0, 1, 1, 1, 0, 0]], dtype=bool).T
    cells = len({(int(b), int(y)) for b, y in zip(bits[:, 0], labels, strict=True)})
    assert cells == 4
    assert informations(bits, labels, 3)[1] == pytest.approx((2 + 3 - 4 - 1) / (16 * np.log(2)))
    rare = np.arange(8)[:, None] == 0
    assert informations(rare, labels, 3)[1] == pytest.approx((2 + 3 - 4 - 1) / (16 * np.log(2)))
    mixed = np.arange(8)[:, None] % 2 == 0
    assert informations(mixed, labels, 3)[1] == pytest.approx((2 + 3 - 6 - 1) / (16 * np.log(2)))


def test_without_relation_the_plug_in_is_too_high_and_the_corrected_is_not():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    found, correction = informations(rng.random((200, 800)) < 0.5, labels, 10)
    assert found.mean() > 0.02
    assert abs((found + correction).mean()) < 0.003


def test_a_gate_that_names_one_of_two_classes_has_one_bit():
    labels = np.arange(400) % 2
    bits = np.stack([labels == 1, labels == 0, labels >= 0, labels < 0], axis=1)
    frame = filter_information(make_recording(bits, labels, classes="ab")).frame
    assert frame["information"].tolist() == pytest.approx([1, 1, 0, 0], abs=0.002)
    assert (frame["p_corrected"] < 1e-6).tolist() == [True, True, False, False]
    assert frame["p"].tolist()[2:] == [1.0, 1.0]


def test_permuted_counts_are_those_of_permuted_labels():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [5, 9, 16])
    bits = np.arange(30) < 11
    drawn = np.stack(
        list(permuted_counts(np.full(20_000, 11), np.bincount(labels), np.random.default_rng(0)))
    )
    slow = np.stack([counts_of(bits, rng.permutation(labels), 3) for _ in range(20_000)], axis=1)
    assert (drawn.sum(axis=0) == 11).all()
    assert np.abs(drawn.mean(axis=1) - slow.mean(axis=1)).max() < 0.05
    assert np.abs(np.cov(drawn) - np.cov(slow)).max() < 0.1


@pytest.mark.parametrize("images", [40, 400])
def test_p_keeps_its_level_far_below_one_in_the_permutations(images):
    rng = np.random.default_rng(images)
    labels = rng.integers(0, 4, images)
    bits = rng.random((images, 4000)) < rng.choice([0.05, 0.3, 0.5], 4000)
    p = filter_information(make_recording(bits, labels), permutations=100).frame["p"]
    for level in (0.05, 0.005):
        assert (p <= level).mean() <= level + 4 * np.sqrt(level / 4000) + level / 2


def test_far_values_get_small_p_and_near_ones_their_share():
    null = np.random.default_rng(0).gamma(2, 1, (200, 3))
    value = np.array([0.0, np.median(null[:, 1]), 40.0])
    p = permutation_p(value, null)
    assert p[0] == 1
    assert p[1] == (1 + (null[:, 1] >= value[1]).sum()) / 201
    assert 0 < p[2] < 1e-9


@pytest.mark.parametrize("correction", ["holm", "bh"])
def test_chance_is_not_found_and_truth_is(correction):
    false = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, 300)
        bits = rng.random((300, 50)) < 0.4
        bits[:, 7] = (labels == 2) ^ (rng.random(300) < 0.1)
        frame = filter_information(
            make_recording(bits, labels), correction=correction, permutations=100, seed=seed
        ).frame
        found = frame["p_corrected"] <= 0.05
        assert found[7]
        false.append(found.drop(7).any())
    assert sum(false) <= 4


def test_layers_stand_beside_their_baselines():
    bits, labels = planted(0, images=300)
    rng = np.random.default_rng(0)
    layers = {"a": bits, "b": bits[:, :5]}
    data = make_recording(layers, labels, classes="wxyz")
    chance = make_recording({k: rng.random(v.shape) < 0.5 for k, v in layers.items()}, labels)
    result = filter_information(data, baselines={"chance": chance})
    table = result.by_layer.set_index(["code", "name"])
    assert list(table.index) == [(c, n) for c in ("paths", "chance") for n in "ab"]
    assert table.loc[("paths", "a"), "share_significant"] > 0.8
    assert table.loc[("chance", "a"), "share_significant"] < 0.1
    assert table.loc[("paths", "b"), "filters"] == 5
    frame = result.frame[(result.frame["code"] == "paths") & (result.frame["name"] == "a")]
    assert table.loc[("paths", "a"), "best"] == frame["information"].max()
    assert table.loc[("paths", "a"), "best_filter"] == frame["information"].to_numpy().argmax()
    assert result.entropy == pytest.approx(2, abs=0.05)
    assert "chance 0.00" in result.summary()
    assert len(result.plot().axes) == 2


def test_it_repeats_and_unknown_classes_are_said():
    bits, labels = planted(1, images=200)
    labels[:30] = -1
    data = make_recording(bits, labels)
    one, same = filter_information(data, seed=3), filter_information(data, seed=3)
    assert one.frame.equals(same.frame)
    assert one.images == 170
    assert one.left_out == "30 images of unknown class"
    rest = filter_information(make_recording(bits[30:], labels[30:]), seed=3)
    assert rest.frame["information"].tolist() == pytest.approx(one.frame["information"].tolist())
    only_known = bits[30:].mean(axis=0)
    assert one.frame["rate"].tolist() == pytest.approx(only_known.tolist())


def test_awkward_recordings_get_an_answer(ten_classes):
    result = filter_information(ten_classes, ["stem.still", "head.*"])
    assert result.summary()
    assert result._repr_html_()
    assert result.frame.loc[result.frame["name"] == "stem.still", "information"].eq(0).all()
    alone = filter_information(make_recording(np.ones((4, 2), dtype=bool), [0, 0, 0, 0]))
    assert alone.entropy == 0
    assert alone.frame["p_corrected"].tolist() == [1, 1]


def test_bad_input_is_said():
    bits, labels = planted(0, images=50)
    with pytest.raises(PathLensError, match="neither labels nor predictions"):
        filter_information(make_recording(bits))
    with pytest.raises(PathLensError, match="at least 20"):
        filter_information(make_recording(bits, labels), permutations=5)
    with pytest.raises(PathLensError, match="'holm' or 'bh'"):
        filter_information(make_recording(bits, labels), correction="none")
