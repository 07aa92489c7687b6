"""Ablated combinations: an image-by-image oracle, planted truth and chance, no leak, definitions."""

import shutil
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pathlens.probing.combination_ablation as module
from pathlens.analysis import associations
from pathlens.analysis.associating.targets import split_halves
from pathlens.errors import PathLensError
from pathlens.probing import combination_trial
from pathlens.probing.combination_ablation import COLUMNS, ablate_combinations
from pathlens.probing.read_out import fit_read_out
from pathlens.recorder import record
from tests.probing.associated import (
    LAST,
    LAYER,
    asked,
    carried,
    concept_table,
    joined,
    measure,
    one_by_one,
    varying,
)
from tests.probing.conftest import record_changed


@pytest.fixture(scope="module")
def gated(trained, tmp_path_factory):
    """A recorded run of 120 images whose gates differ between images."""
    return record_changed(trained, tmp_path_factory.mktemp("gated"), limit=120)


@pytest.fixture(scope="module")
def noise(gated):
    """Concepts that have nothing to do with the images."""
    rng = np.random.default_rng(0)
    return {name: rng.random(len(gated)) < rate for name, rate in (("a", 0.4), ("b", 0.6))}


@pytest.fixture(scope="module")
def small(gated):
    """A concept that penultimate features tell."""
    return {"small": gated.images["label"].to_numpy() < 4}


def taken_together(gated, has):
    """Of the filters that vary most those three that most tested images with the concept take."""
    tested = ~split_halves(gated.images, 0) & has
    bits = gated.bits(LAYER)[tested]
    threes = combinations(varying(gated, LAYER, 10), 3)
    return np.array(max(threes, key=lambda three: bits[:, list(three)].all(axis=1).sum()))


def test_changes_are_those_of_images_run_one_by_one(gated, small, monkeypatch):
    filters = taken_together(gated, small["small"])
    others = [np.array([0, 1, 2]), np.array([7, 20, 21])]
    monkeypatch.setattr(
        combination_trial, "matched_sets", lambda *a: [{LAYER: drawn} for drawn in others]
    )
    found = measure(
        gated, [(LAYER, joined(filters), "small")], small, images=500, random_sets=2, batch_size=37
    ).iloc[0]
    has = small["small"]
    total, *random = (one_by_one(gated, off, has) for off in (filters, *others))
    direct = one_by_one(gated, filters, has, direct=True)
    has = has[total.index]
    taking = gated.bits(LAYER)[total.index][:, filters].all(axis=1)
    expected = {
        "ablation_effect": total.odds[has].mean(),
        "ablation_effect_without": total.odds[~has].mean(),
        "ablation_effect_taking": total.odds[has & taking].mean(),
        "ablation_effect_direct": direct.odds[has].mean(),
        "ablation_effect_random": np.mean([x.odds[has].mean() for x in random]),
        "ablation_effect_without_random": np.mean([x.odds[~has].mean() for x in random]),
        "probability_change": total.probability[has].mean(),
        "probability_change_without": total.probability[~has].mean(),
        "probability_change_random": np.mean([x.probability[has].mean() for x in random]),
        "accuracy_change": total.accuracy[has].mean(),
        "accuracy_change_without": total.accuracy[~has].mean(),
        "accuracy_change_without_random": np.mean([x.accuracy[~has].mean() for x in random]),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-4), name
    assert found["images"] == has.sum()
    assert found["images_taking"] == (has & taking).sum() > 0
    assert found["images_without"] == (~has).sum()
    assert found["read_out_images"] == split_halves(gated.images, 0).sum()
    assert abs(found["ablation_effect"]) > 1e-3  # else nothing was shown
    assert abs(found["ablation_effect"] - found["ablation_effect_direct"]) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_filters_that_carry_a_concept_are_told_from_such_as_go_with_it(
    gated, trained, tmp_path, seed
):
    number = int(varying(gated, LAYER, 3)[seed])
    recording = record_changed(trained, tmp_path, carried(number), limit=240)
    bits = recording.bits(LAYER)
    assert (bits[:, [5]] == bits[:, [6, 8, 9]]).all()
    has = bits[:, 5] ^ (np.random.default_rng(seed).random(240) < 0.05)
    rows = [(LAYER, "5+6", "c"), (LAYER, "8+9", "c")]
    found = measure(recording, rows, {"c": has}, random_sets=19, resamples=200, seed=seed)
    carries, goes = found.iloc[0], found.iloc[1]
    assert carries["read_out_auroc"] > 0.85
    assert carries["p_random"] == pytest.approx(1 / 20)
    assert carries["ablation_effect_ci_high"] < carries["ablation_effect_random_low"]
    assert abs(goes["ablation_effect"]) < 0.2 * abs(carries["ablation_effect"])
    assert goes["ablation_effect"] > goes["ablation_effect_random_low"]
    assert goes["p_random"] > 0.1


def test_combinations_drawn_by_chance_are_no_stronger_than_random_sets(gated, small):
    p = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        drawn = [np.sort(rng.choice(32, 2, replace=False)) for _ in range(25)]
        rows = list({(LAYER, joined(filters), "small"): None for filters in drawn})
        settings = {"random_sets": 19, "images": 20, "seed": seed}
        p += measure(gated, rows, small, **settings)["p_random"].tolist()
    assert np.mean(np.array(p) <= 0.1) < 0.25
    assert 0.35 < np.mean(p) < 0.65


def test_a_concept_that_images_do_not_show_cannot_be_read_and_the_row_says_so(gated):
    qualities = []
    for seed in range(4):
        has = np.random.default_rng(seed).random(120) < 0.5
        row = measure(gated, [(LAYER, "1+2", "noise")], {"noise": has}).iloc[0]
        qualities.append(row["read_out_auroc"])
        assert ("hardly reads" in row["note"]) == (row["read_out_auroc"] < 0.6)
    # Read by what it was fitted on, noise would be told with nearly 1.
    assert abs(np.mean(qualities) - 0.5) < 0.12
    assert max(qualities) < 0.75


@pytest.mark.parametrize("split", range(2))
def test_what_confirmation_images_are_called_does_not_touch_the_read_out(
    gated, small, split, monkeypatch
):
    tested = ~split_halves(gated.images, split)
    seen = []

    def watched(features, has, groups, seed):
        seen.append((groups, has, fit_read_out(features, has, groups, seed)))
        return seen[-1][-1]

    monkeypatch.setattr(module, "fit_read_out", watched)
    flipped = small["small"] ^ (tested & (np.arange(120) % 3 == 0))
    for has in (small["small"], flipped):
        found = asked(gated, [(LAYER, "1+2", "c")], split=split, c=has)
        table = concept_table(gated, c=has)
        ablate_combinations(gated, found, concepts=table, random_sets=0, progress=False)
    (rows, _, first), (again, _, second) = seen
    assert not tested[rows].any()  # every image is a group of its own, by its row
    assert set(rows) == set(again) == set(np.flatnonzero(~tested))
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.intercept == second.intercept


def test_images_are_confirmation_images_half_with_the_concept_and_half_without(gated, small):
    found = measure(gated, [(LAYER, "1+2", "small")], small, images=20, fit_images=30).iloc[0]
    assert (found["images"], found["images_without"], found["read_out_images"]) == (10, 10, 30)
    rare = np.zeros(120, dtype=bool)
    rare[np.flatnonzero(split_halves(gated.images, 0))[:10]] = True
    rare[np.flatnonzero(~split_halves(gated.images, 0))[:6]] = True
    found = measure(gated, [(LAYER, "1+2", "rare")], {"rare": rare}, images=30).iloc[0]
    assert (found["images"], found["images_without"]) == (6, 24)
    found = measure(gated, [(LAYER, "1+2", "common")], {"common": ~rare}, images=30).iloc[0]
    assert (found["images"], found["images_without"]) == (24, 6)


def test_a_row_keeps_its_numbers_beside_others_and_repeats(gated, small, noise):
    concepts = small | noise
    settings = {"random_sets": 4, "resamples": 50, "images": 40}
    rows = [(LAYER, "3+9", "a"), (LAST, "2+4+7", "small"), (LAYER, "3+9", "small")]
    together = measure(gated, rows, concepts, **settings)
    assert (
        list(zip(together["name"], together["combination"], together["concept"], strict=True))
        == rows
    )
    apart = pd.concat([measure(gated, [row], concepts, **settings) for row in rows])
    pd.testing.assert_frame_equal(together, apart.reset_index(drop=True), rtol=1e-3, atol=1e-4)
    again = measure(gated, rows, concepts, **settings)
    pd.testing.assert_frame_equal(together, again)
    other = measure(gated, rows, concepts, **settings, seed=1)
    assert not np.allclose(other["ablation_effect"], together["ablation_effect"], rtol=1e-3)


def test_a_combination_that_concepts_share_is_ablated_once(gated, noise, monkeypatch):
    ran = []
    ablated = combination_trial.FeatureBench.ablated

    def counted(self, ablations, places):
        ran.extend(
            (one.filters, one.direct, len(where))
            for one, where in zip(ablations, places, strict=True)
        )
        return ablated(self, ablations, places)

    monkeypatch.setattr(combination_trial.FeatureBench, "ablated", counted)
    measure(gated, [(LAYER, "3+9", "a"), (LAYER, "3+9", "b")], noise)
    tested = ~split_halves(gated.images, 0)
    changed = int(gated.bits(LAYER)[tested][:, [3, 9]].any(axis=1).sum())
    assert sorted(ran) == [((3, 9), False, changed), ((3, 9), True, changed)]


def test_random_sets_are_from_outside_and_matched_where_the_effect_is_measured(gated, monkeypatch):
    drawn = []
    run = combination_trial.Measured.run
    monkeypatch.setattr(
        combination_trial.Measured,
        "run",
        lambda self, trials, **k: drawn.extend(trials[0].sets) or run(self, trials, **k),
    )
    number = int(varying(gated, LAYER, 1)[0])
    has = gated.bits(LAYER)[
        :, number
    ]  # the filter is always on where it is measured, and only there
    row = measure(gated, [(LAYER, str(number), "c")], {"c": has}, random_sets=8).iloc[0]
    assert len({x.tobytes() for x in drawn}) == row["random_sets"] == 8
    assert not any(number in filters for filters in drawn)
    tested = ~split_halves(gated.images, 0)
    rates = gated.bits(LAYER)[tested & has].mean(axis=0)
    assert row["rate"] == 1
    assert row["random_rate"] == pytest.approx(np.mean([rates[filters] for filters in drawn]))
    assert row["random_rate"] > np.delete(rates, number).mean() + 0.1


def test_a_layer_without_enough_other_filters_has_fewer_random_sets_and_says_so(gated, small):
    whole, most = joined(range(32)), joined(range(1, 32))
    found = measure(gated, [(LAYER, whole, "small"), (LAYER, most, "small")], small, random_sets=3)
    assert (found["random_sets"] == 0).all()
    assert found[["ablation_effect_random", "p_random", "random_rate"]].isna().all(axis=None)
    assert found["note"].str.contains("only 0 of 3 random sets").all()
    assert found["ablation_effect"].notna().all()


def test_intervals_are_over_groups_where_images_are_grouped(gated, small, tmp_path, monkeypatch):
    images = gated.images.copy()
    monkeypatch.setitem(gated.__dict__, "images", images)
    alone = measure(gated, [(LAYER, "1+2+3", "small")], small, resamples=300).iloc[0]
    labels = images["label"].to_numpy()
    images["group"] = [f"video {x}" for x in labels * 2 + np.arange(120) % 2]
    grouped = measure(gated, [(LAYER, "1+2+3", "small")], small, resamples=300).iloc[0]
    assert alone["groups"] == 0
    assert 2 <= grouped["groups"] <= 8
    assert f"{grouped['groups']} groups, too few" in grouped["note"]
    assert grouped["ablation_effect_ci_low"] < grouped["ablation_effect"]
    assert grouped["ablation_effect"] < grouped["ablation_effect_ci_high"]


def test_classes_are_concepts_and_found_associations_are_measured(gated):
    number = int(varying(gated, LAST, 1)[0])
    has = gated.bits(LAST)[:, number] ^ (np.random.default_rng(0).random(120) < 0.1)
    table = concept_table(gated, planted=has)
    found = associations(gated, [LAST], table, resamples=0, top=1)
    held = found.frame["confirmed"]
    assert held.any()
    assert not held.all()
    few = replace(found, frame=found.frame[held | (held.cumsum() == held.sum())].head(3))
    keys, settings = ["name", "combination", "concept"], {"random_sets": 0, "progress": False}
    for only, expected in ((True, few.confirmed), (False, few.frame)):
        measured = ablate_combinations(gated, few, concepts=table, confirmed_only=only, **settings)
        pd.testing.assert_frame_equal(measured[keys], expected[keys].reset_index(drop=True))
        assert list(measured.columns) == list(COLUMNS)
    assert measured["concept"].str.startswith("class:").any()


def test_without_a_confirmed_row_the_table_is_empty_and_needs_no_run(gated, noise):
    found = asked(gated, [(LAYER, "1+2", "a")], confirmed=False, **noise)
    table = ablate_combinations(gated, found)
    assert table.empty
    assert list(table.columns) == list(COLUMNS)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"images": 1}, "images is 1: give at least 2"),
        ({"fit_images": 0}, "fit_images is 0"),
        ({"random_sets": -1}, "random_sets is -1"),
        ({"resamples": -1}, "resamples is -1"),
    ],
)
def test_counts_out_of_range_are_refused(gated, noise, settings, said):
    with pytest.raises(PathLensError, match=said):
        measure(gated, [(LAYER, "1+2", "a")], noise, **settings)


def test_associations_of_other_images_or_concepts_are_refused(gated, noise):
    combination = joined(varying(gated, LAYER, 2))
    found = asked(gated, [(LAYER, combination, "a")], **noise)
    with pytest.raises(PathLensError, match=r"Concept 'a' .* not known here"):
        ablate_combinations(gated, found, concepts=concept_table(gated, b=noise["b"]))
    with pytest.raises(PathLensError, match="was not found on these images"):
        ablate_combinations(gated, found, concepts=concept_table(gated, a=noise["b"]))
    elsewhere = asked(gated, [(LAYER, combination, "a")], **noise)
    elsewhere.frame["combination"] = "1+99"
    with pytest.raises(PathLensError, match=r"filters 1\+99 of layer stage3.0.0"):
        ablate_combinations(gated, elsewhere, concepts=concept_table(gated, **noise))
    elsewhere.frame["name"] = "stage9"
    with pytest.raises(PathLensError, match="stage9"):
        ablate_combinations(gated, elsewhere, concepts=concept_table(gated, **noise))


def test_a_run_that_is_gone_or_plain_is_named(gated, trained, noise, tmp_path):
    found = asked(gated, [(LAYER, "1+2", "a")], **noise)
    table = concept_table(gated, **noise)
    copy = shutil.copytree(gated.folder, tmp_path / "gone" / "recordings" / "test")
    with pytest.raises(PathLensError, match="gone"):
        ablate_combinations(copy, found, concepts=table)
    shutil.copytree(trained / "plain", tmp_path / "plain")
    plain = record(
        tmp_path / "plain",
        limit=120,
        plain="response",
        rates_from=trained / "gated",
        progress=False,
    )
    has = plain.images["label"].to_numpy() < 4
    rows = [(plain.layers.names[0], "1", "c")]
    with pytest.raises(PathLensError, match="plain network"):
        measure(plain, rows, {"c": has})


def test_images_without_labels_are_measured_but_for_their_accuracy(gated, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(60):
        picture = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(picture).save(tmp_path / f"{number:02d}.png")
    run = gated.folder.parent.parent
    recording = record(run, data=str(tmp_path), out=run / "recordings" / "flat", progress=False)
    assert "label" not in recording.images
    first, second = varying(recording, LAYER, 2)
    concepts = {"bright": rng.random(60) < 0.5}
    rows = [(LAYER, joined([first, second]), "bright")]
    found = measure(recording, rows, concepts, data=str(tmp_path)).iloc[0]
    assert np.isfinite(found[["ablation_effect", "probability_change"]].astype(float)).all()
    assert np.isnan(found["accuracy_change"])
