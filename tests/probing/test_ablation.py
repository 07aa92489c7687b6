"""Ablation: scores against a network run by hand, controls against loops, planted filters found."""

import numpy as np
import pandas as pd
import pytest
import torch

from pathlens.analysis.drawing import figure_bytes
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import normalise
from pathlens.errors import PathLensError
from pathlens.probing.ablation import ablate
from pathlens.probing.ablation_controls import NEAREST, matched_sets
from pathlens.probing.interventions import Bench, members_of
from pathlens.probing.resampling import bootstrap_means, chance_of_control, resample_within
from pathlens.probing.signature import rate_excess, signature
from pathlens.probing.subject import chosen_rows, open_subject
from pathlens.training import load
from tests.analysis.conftest import make_recording

UNITS = ["stage1.0", "stage1.1", "stage2.0", "stage2.1", "stage3.0", "stage3.1"]
SET = {"stage1.1.0": [2, 3], "stage3.0.0": [0, 5, 9]}


def pictures(recording):
    test = load_dataset("digits").split("test")
    position = {image: i for i, image in enumerate(test.ids)}
    pixels = [test.read(position[image]) for image in recording.images["image"]]
    return normalise(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2))


@torch.no_grad()
def by_hand(network, x, change=None, frozen=None):
    """Scores of a small network, module by module; `change(name, gates, gated outputs)` intervenes."""
    model = network.model
    x = model.stem(x)
    for unit in UNITS:
        if unit in ("stage2.0", "stage3.0"):
            x = model.pool(x)
        name = f"{unit}.0"
        conv, norm, _ = model.get_submodule(unit)
        gates = (network.gating_module(name)(x) > 0).float()
        if frozen is not None:
            gates = torch.from_numpy(frozen[name]).float()
        out = torch.relu(norm(conv(x)))
        x = gates[:, :, None, None] * out if change is None else change(name, gates, out)
    return model.classifier(x.mean(dim=(2, 3))).numpy()


def changing(mode, means=None):
    def change(name, gates, out):
        gates = gates.clone()
        if name in SET and mode in ("off", "on"):
            gates[:, SET[name]] = float(mode == "on")
        gated = gates[:, :, None, None] * out
        if name in SET and mode == "mean":
            for number in SET[name]:
                gated[:, number] = means[name][number]
        return gated

    return change


def mean_outputs(network, x):
    means = {}

    def keep(name, gates, out):
        gated = gates[:, :, None, None] * out
        means[name] = gated.mean(dim=(0, 2, 3))
        return gated

    by_hand(network, x, keep)
    return means


@pytest.mark.parametrize("mode", ["off", "on", "mean"])
@pytest.mark.parametrize("effect", ["total", "direct"])
def test_scores_are_those_of_a_network_run_by_hand(lively, mode, effect):
    network, x = load("gated"), pictures(lively)
    frozen = {layer.name: lively.bits(layer.name) for layer in lively.layers}
    subject = open_subject(lively, None)
    bench = Bench(subject, chosen_rows(subject, None, 0), batch_size=25)
    np.testing.assert_allclose(bench.own, by_hand(network, x), atol=1e-4)
    expected = by_hand(
        network,
        x,
        changing(mode, mean_outputs(network, x)),
        frozen if effect == "direct" else None,
    )
    found = bench.scores(members_of(SET, lively.layers), mode, effect)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found - bench.own).max() > 1e-3  # else nothing was shown


def test_total_and_direct_effects_differ(lively):
    subject = open_subject(lively, None)
    bench = Bench(subject, chosen_rows(subject, None, 0))
    members = members_of(SET, lively.layers)
    total, direct = (bench.scores(members, "off", effect) for effect in ("total", "direct"))
    assert np.abs(total - direct).max() > 1e-3


def test_images_that_have_the_filters_so_already_are_not_run(lively, monkeypatch):
    subject = open_subject(lively, None)
    bench = Bench(subject, chosen_rows(subject, None, 0))
    ran = []
    run = type(subject).run
    monkeypatch.setattr(
        type(subject),
        "run",
        lambda self, rows, *a, **k: ran.extend(rows) or run(self, rows, *a, **k),
    )
    number = int(np.argmin(np.abs(lively.bits("stage3.0.0").mean(axis=0) - 0.5)))
    on = lively.bits("stage3.0.0")[:, number]
    assert 0 < on.sum() < 60
    bench.scores({"stage3.0.0": np.array([number])}, "off")
    assert ran == list(np.flatnonzero(on))
    ran.clear()
    bench.scores({"stage3.0.0": np.array([number])}, "on")
    assert ran == list(np.flatnonzero(~on))


def test_strengths_and_contributions_are_those_of_a_loop(lively):
    network, x = load("gated"), pictures(lively)
    subject = open_subject(lively, None)
    bench = Bench(subject, chosen_rows(subject, None, 0))
    squares, on = {}, {}

    def keep(name, gates, out):
        squares[name] = out.square().mean(dim=(2, 3)).sqrt().numpy()
        on[name] = gates.numpy()
        return gates[:, :, None, None] * out

    by_hand(network, x, keep)
    for name in squares:
        np.testing.assert_allclose(bench.strengths[name], squares[name].mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(
            bench.contributions[name], (squares[name] * on[name]).mean(axis=0), atol=1e-4
        )


def test_rows_of_the_frame_are_those_of_a_loop_over_images(lively):
    network, x = load("gated"), pictures(lively)
    found = ablate(lively, {"some": SET}, effect="total", controls=3, images=None, progress=False)
    before, after = by_hand(network, x), by_hand(network, x, changing("off"))
    labels = lively.images["label"].to_numpy()
    table = found.frame.set_index(["class_index", "measure"])
    for scope in [-1, *np.unique(labels)]:
        sums = dict.fromkeys(("logit_true", "logit_predicted", "accuracy", "flipped"), 0.0)
        places = [i for i in range(60) if scope in (-1, labels[i])]
        for i in places:
            true, said, now = labels[i], before[i].argmax(), after[i].argmax()
            sums["logit_true"] += after[i, true] - before[i, true]
            sums["logit_predicted"] += after[i, said] - before[i, said]
            sums["accuracy"] += float(now == true) - float(said == true)
            sums["flipped"] += float(now != said)
        for measure, total in sums.items():
            row = table.loc[(scope, measure)]
            assert row["change"] == pytest.approx(total / len(places), abs=1e-4)
            assert row["ablated"] - row["own"] == pytest.approx(row["change"])
            assert row["images"] == len(places)
            assert row["low"] <= row["change"] + 1e-9
            assert row["change"] <= row["high"] + 1e-9
    assert table.loc[(-1, "flipped"), "change"] > 0
    assert table.loc[(-1, "accuracy"), "own"] == pytest.approx((before.argmax(1) == labels).mean())


def only_two_filters_count(weights):
    weight = weights["model.classifier.weight"]
    weight.zero_()
    weight[:, 5:7] = 10 * torch.randn((len(weight), 2), generator=torch.Generator().manual_seed(1))
    weights["gating.stage3/1/0.fc2.bias"][5:7] = 1000.0  # on for every image


def test_filters_that_alone_count_are_told_from_random_ones(record_lively):
    recording = record_lively(only_two_filters_count)
    last = recording.layers.names[-1]
    sets = {"planted": {last: [5, 6]}, "others": {last: [8, 9]}}
    found = ablate(recording, sets, effect="direct", controls=19, images=None, progress=False)
    table = found.frame[found.frame["class_index"] < 0].set_index(["set", "measure"])
    planted, others = table.loc[("planted", "flipped")], table.loc[("others", "flipped")]
    assert planted["change"] > 0.1
    assert planted["p"] == pytest.approx(1 / 20)
    assert planted["control"] == 0
    assert others["change"] == 0
    assert others["p"] == 1


def test_a_set_keeps_its_numbers_beside_other_sets_and_repeats(lively):
    sets = {"one": {1: 0}, "some": SET}
    together = ablate(lively, sets, controls=2, images=40, resamples=50, progress=False).frame
    alone = ablate(lively, {"some": SET}, controls=2, images=40, resamples=50, progress=False).frame
    pd.testing.assert_frame_equal(together[together["set"] == "some"].reset_index(drop=True), alone)
    other = ablate(
        lively, {"some": SET}, controls=2, images=40, resamples=50, seed=1, progress=False
    ).frame
    assert not other["change"].equals(alone["change"])


def test_the_table_beside_the_recording_grows_and_rows_measured_again_make_place(lively):
    settings = {"controls": 1, "images": 20, "resamples": 20, "by_class": False, "progress": False}
    ablate(lively, {"one": {1: 0}}, **settings)
    ablate(lively, {"some": SET}, mode="on", **settings)
    ablate(lively, {"one": {1: 0}}, **settings)
    table = pd.read_csv(lively.folder / "ablations.csv")
    assert list(table["set"]) == ["some"] * 8 + ["one"] * 8
    assert set(table["recording"]) == {lively.hash}
    table.assign(recording="another").to_csv(lively.folder / "ablations.csv", index=False)
    ablate(lively, {"one": {1: 0}}, **settings)
    assert len(pd.read_csv(lively.folder / "ablations.csv")) == 8
    lively.verify()


def test_a_table_of_other_columns_is_not_overwritten(lively):
    (lively.folder / "ablations.csv").write_text("mine\n1\n")
    with pytest.raises(PathLensError, match="move it away"):
        ablate(lively, {"one": {1: 0}}, controls=0, images=20, progress=False)


def test_a_whole_layer_has_no_random_sets_and_says_so(lively):
    layer = lively.layers[0]
    found = ablate(
        lively, {"all <b>$x$": {1: list(range(layer.filters))}}, images=20, progress=False
    )
    assert (found.frame["controls"] == 0).all()
    assert found.frame["p"].isna().all()
    assert "random sets for all" in found.left_out
    assert "no random set" in found.summary()
    assert figure_bytes(found.plot(), "png")


def test_the_sentence_and_the_figure_hold_the_numbers(lively):
    found = ablate(lively, {"some": SET}, controls=4, images=30, progress=False)
    assert "'some' (5 filters)" in found.summary()
    assert "30 images" in found.summary()
    assert "30 of 60 images" in found.left_out
    assert figure_bytes(found.plot(), "svg") == figure_bytes(found.plot(), "svg")


@pytest.mark.parametrize(
    ("sets", "settings", "said"),
    [
        ({}, {}, "No set"),
        ({"a": {}}, {}, "without filters"),
        ({"a": {1: []}}, {}, "without filters"),
        ({"a": {1: 10_000}}, {}, "no filter 10000"),
        ({"a": {1: -1}}, {}, "no filter -1"),
        ({"a": {"stem": 0}}, {}, "stem"),
        ({"a": {1: 0}}, {"mode": "half"}, "off, on, mean"),
        ({"a": {1: 0}}, {"effect": "some"}, "total, direct"),
        ({"a": {1: 0}}, {"images": np.array([60])}, "0 to 59"),
        ({"a": {1: 0}}, {"images": 0}, "at least 1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(lively, sets, settings, said):
    with pytest.raises(PathLensError, match=said):
        ablate(lively, sets, progress=False, **settings)


@pytest.mark.parametrize("seed", range(4))
def test_random_sets_are_matched_different_and_never_the_set_itself(seed):
    rng = np.random.default_rng(seed)
    rates = {"a": rng.random(40), "b": rng.random(30)}
    norms = {name: rate * rng.uniform(0.8, 1.2, len(rate)) for name, rate in rates.items()}
    members = {"a": np.argsort(-rates["a"])[3:6], "b": np.array([4])}
    found = matched_sets(members, rates, norms, 20, rng)
    assert len(found) == 20
    assert len({str(drawn) for drawn in found}) == 20
    for drawn in found:
        assert {name: len(filters) for name, filters in drawn.items()} == {"a": 3, "b": 1}
        assert all(not np.isin(drawn[name], members[name]).any() for name in members)
    like = np.mean([rates["a"][drawn["a"]].mean() for drawn in found])
    wanted, anyone = rates["a"][members["a"]].mean(), rates["a"].mean()
    assert abs(like - wanted) < abs(anyone - wanted) / 2


def test_a_single_filter_is_replaced_by_each_of_its_nearest():
    rates = {"a": np.linspace(0, 1, 50)}
    found = matched_sets({"a": np.array([25])}, rates, rates, 100, np.random.default_rng(0))
    expected = sorted(range(50), key=lambda i: (abs(i - 25), i))[1 : NEAREST + 1]
    assert sorted(int(drawn["a"][0]) for drawn in found) == sorted(expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_signature_is_planted_filters_and_rates_are_those_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 400)
    bits = {name: rng.random((400, 20)) < 0.5 for name in ("low", "high")}
    for name, number in (("low", 3), ("high", 7), ("high", 11)):
        bits[name][:, number] = rng.random(400) < np.where(labels == 2, 0.95, 0.1)
    data = make_recording(bits, labels, classes=["a", "b", "<c>", "d"])
    assert signature(data, "<c>", count=3) == {"low": [3], "high": [7, 11]}
    assert signature(data, 2, layers=["high"], count=2) == {"high": [7, 11]}
    excess = rate_excess(bits["low"], labels == 2)
    for number in range(20):
        inside = [bits["low"][i, number] for i in range(400) if labels[i] == 2]
        outside = [bits["low"][i, number] for i in range(400) if labels[i] != 2]
        assert excess[number] == pytest.approx(np.mean(inside) - np.mean(outside))
    few = np.flatnonzero(labels != 2)
    with pytest.raises(PathLensError, match="outside"):
        signature(data, 2, rows=few)
    with pytest.raises(PathLensError, match="<c>"):
        signature(data, "c")
    with pytest.raises(PathLensError, match="0 to 3"):
        signature(data, 4)


def test_chance_of_control_counts_the_set_itself():
    assert chance_of_control(1.0, np.array([0.2, 1.0, 3.0])) == pytest.approx(3 / 4)
    assert chance_of_control(1.0, np.zeros(19)) == pytest.approx(1 / 20)
    assert np.isnan(chance_of_control(1.0, np.zeros(0)))


def test_bootstrap_keeps_columns_together_and_groups_whole():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(80, 1)) @ np.array([[1.0, -2.0]])
    drawn = bootstrap_means(values, 300, rng)
    np.testing.assert_allclose(drawn[:, 1], -2 * drawn[:, 0])
    assert drawn[:, 0].std() == pytest.approx(values[:, 0].std() / np.sqrt(80), rel=0.2)
    groups = np.array([0] * 5 + [3] * 7)
    redrawn = [resample_within(groups, rng) for _ in range(20)]
    assert all((np.bincount(groups[d], minlength=4) == [5, 0, 0, 7]).all() for d in redrawn)
    assert len({tuple(d) for d in redrawn}) > 1
