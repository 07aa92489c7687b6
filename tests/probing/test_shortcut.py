"""Find the bug: a planted shortcut is found and cured, chance is not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis.drawing import figure_bytes
from pathlens.errors import PathLensError
from pathlens.probing.shortcut import find_shortcut
from pathlens.probing.shortcut_search import (
    Groups,
    as_members,
    association_within_classes,
    bundles,
    drawn_class,
    grow,
)
from tests.probing.conftest import record_changed

LAST = "stage3.1.0"
GATING = "gating.stage3/1/0."  # so that the others gate as trained
IMAGES = 240


@pytest.mark.parametrize("seed", range(3))
def test_association_is_the_correlation_of_what_classes_leave(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 300)
    attribute = rng.random(300) < np.array([0.1, 0.5, 0.9])[labels]
    bits = rng.random((300, 5)) < 0.5
    bits[:, 1] = labels == 2  # goes with the attribute through the class alone
    bits[:, 2] = attribute ^ (rng.random(300) < 0.1)
    bits[:, 3] = True
    found = association_within_classes(bits, attribute, labels)
    for number in (0, 2, 4):
        left, right = [], []
        for k in range(3):
            of_class = [i for i in range(300) if labels[i] == k]
            gates = [float(bits[i, number]) for i in of_class]
            concept = [float(attribute[i]) for i in of_class]
            left += [g - sum(gates) / len(gates) for g in gates]
            right += [c - sum(concept) / len(concept) for c in concept]
        assert found[number] == pytest.approx(np.corrcoef(left, right)[0, 1])
    assert found[1] == 0
    assert found[3] == 0
    assert np.corrcoef(bits[:, 1], attribute)[0, 1] > 0.4
    assert found[2] > 0.6


@pytest.mark.parametrize("seed", range(3))
def test_the_class_that_the_attribute_draws_images_to(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 500)
    attribute = rng.random(500) < 0.3
    wrong = rng.random(500) < 0.2
    predictions = np.where(wrong, 4, labels)  # most wrong answers say 4, with and without
    predictions[attribute & (rng.random(500) < 0.3)] = 1
    assert drawn_class(predictions, labels, attribute) == 1


def test_groups_too_small_are_never_the_worst():
    labels = np.array([0] * 12 + [1] * 20)
    attribute = np.array([True] * 2 + [False] * 10 + [True] * 10 + [False] * 10)
    groups = Groups.of(labels, attribute, 0, 10)
    right = np.array([False] * 2 + [True] * 8 + [False] * 2 + [True] * 20)
    assert groups.worst(right) == pytest.approx(0.8)
    with pytest.raises(PathLensError, match=r"Fewer than two groups .* \[10, 10, 10, 2\]"):
        Groups.of(labels, attribute, 0, 11)


class Planted:
    """Stands for a bench: two filters have to be off together to cure the images with the attribute."""

    def __init__(self, seed, cure=("b", (1, 4))):
        rng = np.random.default_rng(seed)
        self.gates = {"a": np.ones((200, 6), bool), "b": np.ones((200, 6), bool)}
        self.labels = rng.integers(0, 2, 200)
        self.attribute = rng.random(200) < 0.5
        self.cure = cure
        self.own = self.answer(0)

    def answer(self, cured):
        scores = np.eye(2)[self.labels] * 2.0
        wrong = self.attribute & (self.labels == 1)
        scores[wrong, 0] += 2.5 - 0.4 * min(cured, 1) - 2.0 * max(cured - 1, 0)
        return scores

    def scores(self, members, mode, effect):
        layer, filters = self.cure
        return self.answer(len(set(members.get(layer, np.array([])).tolist()) & set(filters)))


@pytest.mark.parametrize("seed", range(3))
def test_a_set_grows_by_what_helps_and_no_further(seed):
    bench = Planted(seed)
    groups = Groups.of(bench.labels, bench.attribute, 0, 10)
    pool = [("a", 1), ("b", 0), ("b", 1), ("a", 4), ("b", 4), ("b", 5)]
    found, alone, own = grow(bench, groups, pool, steps=5, spare=0.0, effect="total")
    assert sorted(found) == [("b", 1), ("b", 4)]
    assert own.worst == 0
    assert alone["b", 1].worst == 0  # one alone helps the likelihood only
    assert alone["b", 1].better(own)
    assert not alone["a", 1].better(own)
    assert {name: f.tolist() for name, f in as_members(found, ["a", "b"]).items()} == {"b": [1, 4]}
    nothing = Planted(seed, cure=("c", ()))
    assert grow(nothing, groups, pool, steps=5, spare=0.0, effect="total")[0] == []


@pytest.fixture(scope="module")
def planted(trained, tmp_path_factory):
    """A filter of the last layer, gated by the images themselves, shouts for class 3."""
    places = [tmp_path_factory.mktemp(name) for name in ("probe", "planted")]
    probe = record_changed(trained, places[0], limit=IMAGES, gating=GATING)
    number = int(np.abs(probe.bits(LAST).mean(axis=0) - 0.4).argmin())

    def shout(weights):
        weights["model.classifier.weight"][3, number] = 200.0

    recording = record_changed(trained, places[1], shout, limit=IMAGES, gating=GATING)
    on = recording.bits(LAST)[:, number]  # gates do not depend on the classifier
    assert 0.1 < on.mean() < 0.9
    return SimpleNamespace(recording=recording, on=on, number=number)


def test_bundles_are_the_strongest_of_either_side():
    filters = [("a", i) for i in range(7)]
    found = bundles(filters, np.array([0.9, -0.8, -0.7, 0.6, 0.5, 0.4, -0.1]))
    numbers = {tuple(number for _, number in bundle) for bundle in found}
    assert numbers == {(0, 3), (0, 3, 4, 5), (1, 2), (0, 1), (0, 1, 2, 3)}


def test_a_bundle_comes_first_where_no_single_filter_helps():
    bench = Planted(0, cure=("b", (1, 4)))
    groups = Groups.of(bench.labels, bench.attribute, 0, 10)
    pool, offered = [("b", 0)], [(("b", 0), ("b", 1), ("b", 4)), (("a", 1), ("b", 1))]
    found, _, _ = grow(bench, groups, pool, bundles=offered, steps=3, spare=0.0, effect="total")
    assert found == list(offered[0])


def table_of(recording, **concepts):
    ids = recording.images["image"]
    rows = [(image, "", 1.0) for image in ids]
    for name, has in concepts.items():
        rows += [(image, name, 1.0) for image in ids[has]]
    return pd.DataFrame(rows, columns=["image", "concept", "value"])


def test_a_planted_shortcut_is_found_and_cured(planted):
    recording = planted.recording
    rng = np.random.default_rng(0)
    table = table_of(recording, night=planted.on ^ (rng.random(IMAGES) < 0.05))
    found = find_shortcut(
        recording, "night", concepts=table, candidates=5, steps=1, controls=19, progress=False
    )
    assert found.of == "3"
    assert LAST in found.frame["filters"].iloc[0]
    best = found.candidates[found.candidates["chosen"] == 1].iloc[0]
    assert (best["name"], best["filter"]) == (LAST, planted.number)
    rows = found.frame[found.frame["stage"] == "confirmation"].set_index("group")
    assert rows.loc["others with night", "change"] > 0.1
    assert rows.loc["others with night", "p"] <= 0.1
    assert rows.loc["others with night", "low"] > 0
    stages = found.frame[found.frame["group"] == "all images"]["images"]
    assert stages.sum() == IMAGES
    assert figure_bytes(found.plot(), "png")
    assert "confirmation images" in found.summary()
    beside = pd.read_csv(recording.folder / "shortcuts.csv")
    assert set(beside["recording"]) == {recording.hash}
    assert len(beside[(beside["attribute"] == "night") & (beside["seed"] == 0)]) == len(found.frame)


def test_accuracies_of_groups_are_those_of_a_loop_and_repeat(planted):
    recording = planted.recording
    table = table_of(recording, night=planted.on)
    settings = {"concepts": table, "of": 3, "candidates": 2, "steps": 1, "controls": 2}
    found = find_shortcut(recording, "night", **settings, resamples=50, progress=False)
    again = find_shortcut(recording, "night", **settings, resamples=50, progress=False)
    pd.testing.assert_frame_equal(found.frame, again.frame)
    images = recording.images
    sums, sizes = {}, {}
    for i in range(IMAGES):
        who = "3" if images["label"][i] == 3 else "others"
        group = f"{who} {'with' if planted.on[i] else 'without'} night"
        sums[group] = sums.get(group, 0) + (images["label"][i] == images["prediction"][i])
        sizes[group] = sizes.get(group, 0) + 1
    for group, count in sums.items():
        rows = found.frame[found.frame["group"] == group]
        assert (rows["own"] * rows["images"]).sum() == pytest.approx(count)
        assert rows["images"].sum() == sizes[group]


def test_chance_associations_are_not_confirmed(planted):
    recording = planted.recording
    table = table_of(recording, coin=np.random.default_rng(5).random(IMAGES) < 0.5)
    found = find_shortcut(
        recording, "coin", concepts=table, of="3", layers=["stage1.*"], candidates=3, steps=1,
        controls=9, progress=False
    )  # fmt: skip
    assert (found.candidates["confirmed"].abs() < 0.35).all()
    assert set(found.candidates["name"]) <= {"stage1.0.0", "stage1.1.0"}
    rows = found.frame[found.frame["stage"] == "confirmation"].set_index("group")
    assert rows.loc["worst group", "low"] <= 0.02


@pytest.mark.parametrize(
    ("attribute", "settings", "said"),
    [
        ("nigth", {}, "night"),
        ("night", {"of": "none"}, "none"),
        ("night", {"smallest": 1000}, "Fewer than two groups"),
        ("night", {"layers": ["stem"]}, "stem"),
        ("night", {"effect": "both"}, "total, direct"),
        ("night", {"concepts": None}, "no concept table"),
        ("always", {}, "All images have 'always'"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(planted, attribute, settings, said):
    table = table_of(planted.recording, night=planted.on, always=np.ones(IMAGES, bool))
    with pytest.raises(PathLensError, match=said):
        find_shortcut(
            planted.recording, attribute, **{"concepts": table, **settings}, progress=False
        )
