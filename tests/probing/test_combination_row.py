"""The row of a combination in numbers that can be computed by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pathlens.layers import Layer
from pathlens.probing.combination_row import block_means, trial_row
from pathlens.probing.combination_trial import Trial

READ_OUT = SimpleNamespace(images=90, strength=0.1)


def trial(own, random, *, log_odds=(3.0, 2.0, 1.0, -1.0, -2.0, -3.0)):
    """Three images with the concept, the first two taking filters 1 and 2, and three without it."""
    changes = np.zeros((2 + len(random), 6, 3))
    changes[0, :, 0], changes[0, :, 1], changes[0, :, 2] = own
    changes[1, :, 0] = [-6.0, 0, 0, 9.0, 0, 0]
    for slot, value in enumerate(random, start=2):
        changes[slot, :3, 0], changes[slot, 3:, 0] = value, 10 * value
    images = SimpleNamespace(measured=np.array([3, 5, 8, 9, 12, 13]))
    return Trial(
        question=SimpleNamespace(
            layer=Layer(4, "conv", 5),
            combination="1+2",
            concept="striped",
            images=images,
            filters=np.array([1, 2]),
        ),
        has=np.arange(6) < 3,
        taking=np.array([True, True, False, True, False, False]),
        sets=tuple(np.array([0, 3 + slot % 2]) for slot in range(len(random))),
        log_odds=np.array(log_odds),
        rates=np.array([0.1, 0.5, 0.7, 0.3, 0.2]),
        norms=np.array([1.0, 2.0, 4.0, 0.0, 6.0]),
        changes=changes,
    )


OWN = (
    [-4.0, -2.0, 0.0, -1.0, 0.0, -0.5],
    [-0.3, 0.0, 0.0, 0.0, 0.6, 0.0],
    [-1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
)


def test_columns_are_means_over_their_images():
    row = trial_row(trial(OWN, [-1.0, -3.0, 0.5]), READ_OUT, None, 3, 200, 0)
    assert row["ablation_effect"] == pytest.approx(-2.0)
    assert row["ablation_effect_without"] == pytest.approx(-0.5)
    assert row["ablation_effect_taking"] == pytest.approx(-3.0)
    assert row["ablation_effect_direct"] == pytest.approx(-2.0)
    assert row["ablation_effect_random"] == pytest.approx(-3.5 / 3)
    assert row["ablation_effect_random_low"] == pytest.approx(-2.9)
    assert row["ablation_effect_random_high"] == pytest.approx(0.425)
    assert row["ablation_effect_without_random"] == pytest.approx(-35 / 3)
    assert row["p_random"] == pytest.approx(2 / 4)  # one of three lowers it as much, and it itself
    assert row["random_sets"] == 3
    assert row["probability_change"] == pytest.approx(-0.1)
    assert row["probability_change_without"] == pytest.approx(0.2)
    assert row["accuracy_change"] == pytest.approx(-1 / 3)
    assert row["accuracy_change_without"] == pytest.approx(2 / 3)
    assert row["accuracy_change_random"] == 0
    assert (row["images"], row["images_taking"], row["images_without"]) == (3, 2, 3)
    assert row["rate"] == pytest.approx(0.6)
    assert row["random_rate"] == pytest.approx((3 * 0.1 + 2 * 0.3 + 0.2) / 6)
    assert row["contribution"] == pytest.approx(3)
    assert row["random_contribution"] == pytest.approx((3 * 1.0 + 6.0) / 6)
    assert (row["layer"], row["name"], row["combination"]) == (4, "conv", "1+2")
    assert (row["read_out_auroc"], row["read_out_images"], row["groups"]) == (1, 90, 0)
    assert row["note"].count("no fair comparison") == 2  # rate 0.6 beside 0.18, norm 3 beside 1.5
    assert -4 <= row["ablation_effect_ci_low"] < -2 < row["ablation_effect_ci_high"] <= 0


def test_a_rise_is_no_evidence_however_large():
    rising = tuple(-np.array(x) for x in OWN)
    row = trial_row(trial(rising, [0.1, -0.1, 0.3, 0.0]), READ_OUT, None, 4, 0, 0)
    assert row["ablation_effect"] == pytest.approx(2)
    assert row["p_random"] == 1
    assert np.isnan(row["ablation_effect_ci_low"])


def test_the_note_names_what_speaks_against_the_row():
    poor = trial(OWN, [-1.0], log_odds=(0.0, 1.0, 0.0, 1.0, 0.0, 1.0))
    groups = np.array([0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0])
    row = trial_row(poor, READ_OUT, groups, 5, 200, 0)
    assert row["read_out_auroc"] == pytest.approx(1 / 3)
    assert "AUROC 0.33 is below 0.6" in row["note"]
    assert "only 1 of 5 random sets" in row["note"]
    assert "2 groups, too few" in row["note"]
    assert row["groups"] == 2
    # Groups of the images with the concept: one has -4, the other -2 and 0.
    assert (row["ablation_effect_ci_low"], row["ablation_effect_ci_high"]) == (-4, -1)


@pytest.mark.parametrize(
    ("rates", "norms", "said"),
    [
        ((0.4, 0.5, 0.5, 0.5, 0.5), (3.0, 3.0, 3.0, 3.0, 3.0), ""),
        (
            (0.3, 0.5, 0.5, 0.3, 0.3),
            (3.0, 3.0, 3.0, 3.0, 3.0),
            "rate is 0.3, the combination's 0.5",
        ),
        (
            (0.5, 0.5, 0.5, 0.5, 0.5),
            (2.4, 2.0, 2.0, 3.0, 3.0),
            "contribution is 2.7, the combination's 2,",
        ),
    ],
)
def test_random_sets_unlike_the_combination_are_noted(rates, norms, said):
    alike = replace(trial(OWN, [-1.0, -3.0]), rates=np.array(rates), norms=np.array(norms))
    note = trial_row(alike, READ_OUT, None, 2, 0, 0)["note"]
    assert said in note
    assert note.count("no fair comparison") == bool(said)


def test_no_image_takes_the_combination():
    none = trial(OWN, [-1.0])
    none.taking[:] = False
    row = trial_row(none, READ_OUT, None, 1, 0, 0)
    assert np.isnan(row["ablation_effect_taking"])
    assert row["ablation_effect"] == pytest.approx(-2.0)


def test_bootstrap_over_images_has_the_standard_error_and_over_blocks_the_larger_one():
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.arange(30), 10)
    values = rng.normal(size=30)[blocks] + 0.1 * rng.normal(size=300)
    alone = block_means(values, None, 2000, rng)
    assert alone.std() == pytest.approx(values.std() / np.sqrt(300), rel=0.1)
    together = block_means(values, blocks, 2000, rng)
    block = values.reshape(30, 10).mean(axis=1)
    assert together.std() == pytest.approx(block.std() / np.sqrt(30), rel=0.1)


def test_a_block_brings_all_its_images():
    values, blocks = np.array([0.0, 0, 0, 6.0]), np.array([7, 7, 7, 9])
    drawn = block_means(values, blocks, 500, np.random.default_rng(0))
    assert set(np.round(drawn, 9)) == {0.0, 1.5, 6.0}
