"""Trace: planted chains and links are found, chance is not, and every number has a slow twin."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from pathlens.analysis.associating.targets import split_halves
from pathlens.analysis.rate_tests import (
    difference_interval,
    fisher_two_sided,
    odds_ratio,
    tally,
    wilson_interval,
)
from pathlens.analysis.tracing.trace import trace
from pathlens.analysis.tracing.trace_drawing import _bands
from pathlens.errors import PathLensError
from tests.analysis.conftest import MemoryRecording, make_recording

LEVEL = 0.05


def chain(seed: int, images: int = 800, layers: int = 4, filters: int = 10) -> MemoryRecording:
    """Class 0 has filter 2 on and 5 off in each layer, and in it filter 2 hands on its state."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, images)
    inside = labels == 0
    before = inside & (rng.random(images) < 0.75)
    bits = {}
    for layer in range(layers):
        one = rng.random((images, filters)) < 0.4
        kept = np.where(rng.random(images) < 0.1, rng.random(images) < 0.75, before)
        one[inside, 2] = kept[inside]
        one[inside, 5] = rng.random(inside.sum()) < 0.05
        bits[f"layer{layer}.conv"] = one
        before = one[:, 2]
    return make_recording(bits, labels, classes=["fox", "hen", "cow", "elk"], prediction=labels)


def pure_chance(seed: int, layers: int = 3, filters: int = 8, images: int = 240) -> MemoryRecording:
    rng = np.random.default_rng(seed)
    bits = {f"l{i}": rng.random((images, filters)) < rng.random(filters) for i in range(layers)}
    return make_recording(bits, rng.integers(0, 3, images))


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_chain_of_filters_is_found_with_its_signs(seed):
    found = trace(chain(seed), "fox", seed=seed)
    holds = found.frame[found.frame["p_corrected"] < LEVEL]
    assert {(row.layer, row.filter) for row in holds.itertuples()} == {
        (layer, number) for layer in range(1, 5) for number in (2, 5)
    }
    assert (np.sign(holds["difference"]) == np.where(holds["filter"] == 2, 1, -1)).all()
    assert holds["chosen"].all()


@pytest.mark.parametrize("seed", range(3))
def test_links_planted_within_a_class_are_found_and_no_others(seed):
    found = trace(chain(seed), "fox", seed=seed)
    holds = found.links[found.links["p_corrected"] < 0.001]
    pairs = holds[["layer", "filter", "next_layer", "next_filter"]].to_numpy().tolist()
    assert pairs == [[layer, 2, layer + 1, 2] for layer in (1, 2, 3)]
    assert (holds["phi"] > 0.5).all()


def test_filters_that_share_only_the_class_are_not_linked():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 2000)
    rate = np.where(labels == 0, 0.8, 0.2)[:, None]
    bits = {f"l{i}": rng.random((2000, 4)) < rate for i in range(3)}
    found = trace(make_recording(bits, labels), 0)
    assert (found.frame["p_corrected"] < 1e-9).all()
    assert (found.links["p_corrected"] >= LEVEL).all()


def test_pure_chance_gives_false_filters_and_links_in_about_one_of_twenty_runs():
    runs = [trace(pure_chance(seed), 0, seed=seed, permutations=1) for seed in range(80)]
    filters = sum((run.frame["p_corrected"] < LEVEL).any() for run in runs)
    links = sum((run.links["p_corrected"] < LEVEL).any() for run in runs)
    # Exact tests are careful: at most 5 %, which 10 of 80 would contradict (binomial, p < 0.01).
    assert filters <= 9
    assert links <= 9


def test_the_largest_difference_stands_beside_permuted_labels():
    planted = trace(chain(1), "fox").scores.iloc[0]
    assert planted["top_difference"] > 2 * planted["chance_95"]
    assert planted["p"] == pytest.approx(0.01)
    p = [
        trace(pure_chance(seed), 0, seed=seed, permutations=19).scores["p"][0] for seed in range(40)
    ]
    assert 0.35 < np.mean(p) < 0.7
    assert np.mean(np.array(p) <= 0.1) < 0.25


def test_every_number_of_filters_and_links_equals_a_loop_over_images():
    data = chain(4, images=300, layers=2, filters=6)
    found = trace(data, "fox", filters_per_layer=3, seed=5)
    half = ~split_halves(data.images, 5)
    labels = data.images["label"].to_numpy()
    for row in found.frame.itertuples():
        gate = data.bits(row.layer)[:, row.filter]
        a = sum(bool(g) for g, y, h in zip(gate, labels, half, strict=True) if h and y == 0)
        b = sum(bool(g) for g, y, h in zip(gate, labels, half, strict=True) if h and y != 0)
        n, m = int((half & (labels == 0)).sum()), int((half & (labels != 0)).sum())
        assert row.rate_in == pytest.approx(a / n)
        assert row.difference == pytest.approx(a / n - b / m)
        less, more = (
            fisher_exact([[a, n - a], [b, m - b]], alternative=way)[1]
            for way in ("less", "greater")
        )
        assert row.p == pytest.approx(min(1, 2 * min(less, more)))
        expected = np.corrcoef(gate[half], labels[half] == 0)[0, 1]
        assert row.phi == pytest.approx(expected)
    inside = half & (labels == 0)
    for row in found.links.itertuples():
        one = data.bits(row.layer)[inside, row.filter]
        other = data.bits(row.next_layer)[inside, row.next_filter]
        assert row.together == (one & other).sum()
        assert row.images == inside.sum()
        assert row.expected == pytest.approx(one.mean() * other.mean() * len(one))
        assert row.lift == pytest.approx(row.together / row.expected)
        assert row.phi == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert len(found.links) == 9


def test_filters_are_chosen_on_the_half_that_is_not_reported():
    data = pure_chance(3)
    found = trace(data, 0, filters_per_layer=2, seed=7)
    half = split_halves(data.images, 7)
    inside = data.images["label"].to_numpy() == 0
    for layer, part in found.frame.groupby("layer"):
        bits = data.bits(layer)
        gap = np.abs(bits[half & inside].mean(axis=0) - bits[half & ~inside].mean(axis=0))
        assert set(part.loc[part["chosen"], "filter"]) == set(np.argsort(-gap)[:2])
        assert np.allclose(np.abs(part["chosen_by"]), gap)


def test_images_of_a_group_stay_on_one_side():
    data = chain(2)
    data.images["group"] = [f"video {i // 8}" for i in range(len(data.images))]
    found = trace(data, "fox")
    assert "100 groups" in found.left_out
    assert found.images == 400


def test_two_classes_are_corrected_together_and_show_what_they_share():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 1200)
    bits = rng.random((1200, 8)) < 0.3
    bits[:, 1] |= np.isin(labels, (0, 1))
    bits[:, 2] |= labels == 0
    bits[:, 3] ^= (labels == 1) & (rng.random(1200) < 0.7)
    found = trace(make_recording(bits, labels), 0, against=1)
    assert found.classes == ("class 0", "class 1")
    assert len(found.frame) == 16
    assert set(found.frame.loc[found.frame["shared"], "filter"]) == {1}
    assert "share 1 filter" in found.summary()
    alone = trace(make_recording(bits, labels), 0)
    first = found.frame[found.frame["class"] == "class 0"]
    assert (first["p_corrected"].to_numpy() >= alone.frame["p_corrected"].to_numpy()).all()
    assert not alone.frame["shared"].any()


def test_an_image_shows_its_filters_and_how_typical_they_are():
    data = chain(6)
    image = data.images["image"][9]
    data.images.loc[9, "prediction"] = 0
    found = trace(data, image)
    on = [(x.index, i) for x in data.layers for i in np.flatnonzero(data.bits(x.index)[9])]
    assert list(zip(found.frame["layer"], found.frame["filter"], strict=True)) == on
    assert found.classes == ("fox",)
    assert found.by == "prediction"
    others = (data.images["prediction"] == 0).to_numpy() & ~split_halves(data.images, 0)
    others[9] = False
    assert not split_halves(data.images, 0)[9]
    for row in found.frame.itertuples():
        assert row.rate_in == pytest.approx(data.bits(row.layer)[others, row.filter].mean())
    assert image in found.summary()


def test_baselines_stand_beside_in_the_scores():
    data = chain(0)
    other = pure_chance(1, layers=4, filters=10, images=800)
    bits = dict(zip(data.bits_by_layer, other.bits_by_layer.values(), strict=True))
    random = make_recording(bits, data.images["label"])
    scores = trace(data, "fox", baselines={"random": random}).scores.set_index("code")
    assert list(scores.index) == ["paths", "random"]
    assert scores["filters"].tolist() == [8, 0]
    assert scores["links"].tolist() == [3, 0]
    assert (scores["tested_links"] == 108).all()


def test_layers_are_read_once_each_and_only_those_asked_for():
    data = chain(0)
    found = trace(data, "fox", against="hen", layers=[1, 3])
    assert data.read == ["layer0.conv", "layer2.conv"]
    assert set(found.links["layer"]) == {1}
    assert set(found.links["next_layer"]) == {3}


def test_same_seed_same_result():
    one, other = (trace(chain(3), "fox", seed=2) for _ in range(2))
    pd.testing.assert_frame_equal(one.frame, other.frame)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    assert not trace(chain(3), "fox", seed=3).frame["rate_in"].equals(one.frame["rate_in"])


def test_constant_filters_and_empty_layers_do_no_harm():
    labels = np.arange(200) % 2
    bits = {"on": np.ones((200, 3), bool), "off": np.zeros((200, 2), bool)}
    found = trace(make_recording(bits, labels), 0)
    assert not found.frame["chosen"].any()
    assert found.links.empty
    assert found.scores["tested_filters"].tolist() == [0]
    assert (found.frame["p_corrected"] == 1).all()
    found.plot()
    dark = trace(make_recording(bits["off"], labels), "image/00003.png")
    assert dark.frame.empty
    assert dark.summary().startswith("0 filters")
    dark.plot()


def test_ablations_are_marked():
    table = pd.DataFrame(
        {"layer": ["layer0.conv", 2], "filter": [2, 5], "confirmed": [True, False]}
    )
    found = trace(chain(0), "fox", confirmed=table)
    marks = found.frame.set_index(["layer", "filter"])["ablation"]
    assert marks[1, 2] == "confirmed"
    assert marks[2, 5] == "not confirmed"
    assert (marks != "").sum() == 2
    labels = [text.get_text() for text in found.plot().legends[0].get_texts()]
    assert any("confirmed by ablation" in label for label in labels)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"of": "foxx"}, "did you mean fox"),
        ({"of": 9}, "Unknown class or image '9'"),
        ({"of": "fox", "against": "fox"}, "held against itself"),
        ({"of": "image/00001.png", "against": "fox"}, "traced alone"),
        ({"of": "fox", "filters_per_layer": 0}, "at least 1"),
        ({"of": "fox", "permutations": 0}, "at least 1"),
        ({"of": "fox", "layers": ["nowhere"]}, "Unknown layer"),
        ({"of": "fox", "confirmed": pd.DataFrame({"layer": [1]})}, "lacks the column filter"),
        (
            {
                "of": "fox",
                "confirmed": pd.DataFrame({"layer": [1], "filter": [99], "confirmed": [1]}),
            },
            "filter 99 of layer 1",
        ),
    ],
)
def test_bad_input_is_told_in_one_sentence(arguments, sentence):
    with pytest.raises(PathLensError, match=sentence):
        trace(chain(0, images=200), **arguments)


def test_unknown_and_rare_classes_are_told():
    bits = np.random.default_rng(0).random((60, 4)) < 0.5
    with pytest.raises(PathLensError, match="neither labels nor predictions"):
        trace(make_recording(bits), 0)
    rare = make_recording(bits, np.arange(60) < 6)
    with pytest.raises(PathLensError, match="of class 'class 1'"):
        trace(rare, 1)


def test_awkward_names_are_drawn_as_text(ten_classes):
    for name in ten_classes.classes[:4]:
        figure = trace(ten_classes, name, against="e", permutations=3).plot()
        figure.canvas.draw()
        assert "co-activation" in figure.get_suptitle()


@pytest.mark.parametrize("layers", [2, 3, 8])
def test_few_layers_take_the_width_of_the_figure(layers):
    figure = trace(chain(0, layers=layers), "fox", permutations=3).plot()
    figure.draw_without_rendering()
    axes = figure.axes[0]
    places = axes.transData.transform([(x, 0) for x in axes.get_xticks()])[:, 0]
    assert len(places) == layers
    assert places[-1] - places[0] > 0.4 * figure.bbox.width
    # On average in the middle, and all of them inside.
    assert places.mean() == pytest.approx(figure.bbox.width / 2, rel=0.1)
    assert places.min() > 0
    assert places.max() < figure.bbox.width


def test_a_shorter_last_row_keeps_the_distances_of_the_others():
    figure = trace(chain(0, layers=24, images=300), "fox", permutations=3).plot()
    figure.draw_without_rendering()
    first, last = figure.axes
    assert len(first.get_xticks()) != len(last.get_xticks())
    steps = [np.diff(panel.transData.transform([(0, 0), (1, 0)])[:, 0]) for panel in (first, last)]
    assert steps[0] == pytest.approx(steps[1])


def test_many_layers_are_drawn_in_rows_that_overlap_in_one_layer():
    assert _bands(list(range(1, 19))) == [list(range(1, 19))]
    rows = _bands(list(range(1, 55)))
    assert [row[0] for row in rows] == [1, 18, 36]
    assert rows[-1][-1] == 54
    assert all(one[-1] == other[0] for one, other in itertools.pairwise(rows))


def test_two_sided_fisher_is_exact_and_symmetric():
    p = fisher_two_sided(np.array([10, 10, 0]), np.array([10, 10, 5]), np.array([9, 5, 0]), 20)
    assert p[0] == pytest.approx(2 * fisher_exact([[9, 1], [1, 9]], "greater")[1])
    assert p[1] == 1
    assert p[2] == 1
    flipped = fisher_two_sided(np.array([10]), np.array([10]), np.array([1]), 20)
    assert flipped[0] == pytest.approx(p[0])


def test_intervals_of_rates_equal_published_numbers():
    # Newcombe (1998), table II: 56/70 against 48/80 and 0/10 against 0/20, method 10.
    low, high = difference_interval([56, 0], [70, 10], [48, 0], [80, 20])
    assert np.allclose(low, [0.0524, -0.1611], atol=1e-4)
    assert np.allclose(high, [0.3339, 0.2775], atol=1e-4)
    assert np.allclose(wilson_interval(81, 263), (0.2553, 0.3662), atol=1e-4)
    assert odds_ratio(3, 10, 0, 10) == pytest.approx(3.5 * 10.5 / (7.5 * 0.5))


def test_counts_by_chunks_equal_counts_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    bits, member = rng.random((103, 5)) < 0.5, rng.random((3, 103)) < 0.4
    monkeypatch.setattr("pathlens.analysis.rate_tests._CHUNK", 10)
    assert (tally(bits, member) == member.astype(int) @ bits.astype(int)).all()
