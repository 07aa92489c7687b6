"""What stands on the clean side: twins of attacked images, and images that are wrong when clean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from pathlens.detection.data import DetectionData, detection_data
from pathlens.detection.evaluation import Evaluation, evaluate
from pathlens.detection.evaluation.metrics import (
    Resamples,
    auroc,
    auroc_draws,
    auroc_draws_of_groups,
)
from tests.detection.evaluation_world import (
    CLASSES,
    Column,
    Recorded,
    Seen,
    altered_recording,
    clean_recording,
)

SIGNAL = Column("signal", "signal")
QUIET = {"progress": False, "few": (), "bootstrap": 100}


def attacked_where(clean: Recorded, fooled: np.ndarray, signal: np.ndarray) -> Recorded:
    made = altered_recording(clean, "a", 0.0)
    label = made.images["label"]
    prediction = np.where(fooled, (label + 1) % len(CLASSES), label)
    return replace(made, images=made.images.assign(prediction=prediction, signal=signal))


def only(found: Evaluation, altered: str, detector: str = "signal") -> pd.Series:
    rows = found.frame[(found.frame["altered"] == altered) & (found.frame["detector"] == detector)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture(scope="module")
def selected() -> Evaluation:
    """The attack changes no signal, and succeeds on images of a high one only."""
    clean = clean_recording(2000)
    signal = clean.images["signal"].to_numpy()
    clean.images["noise"] = np.random.default_rng(5).normal(size=2000)
    attacked = attacked_where(clean, signal > 0, signal)
    attacked.images["noise"] = np.random.default_rng(6).normal(size=2000)
    detectors = [SIGNAL, Column("noise", "energy")]
    return evaluate(clean, {"a": attacked}, detectors=detectors, **QUIET)


def test_twins_take_away_what_the_choice_of_sources_tells(selected: Evaluation) -> None:
    one = only(selected, "a")
    assert one["auroc"] > 0.7
    assert one["auroc_twins"] == pytest.approx(0.5, abs=1e-12)
    assert one["twins_low"] == pytest.approx(0.5, abs=1e-6)
    assert one["twins_high"] == pytest.approx(0.5, abs=1e-6)
    assert one["n_twins"] == one["n_altered"] < 0.6 * one["n_clean"]


def test_difference_to_the_best_baseline_is_told_on_both_sides(selected: Evaluation) -> None:
    one, other = only(selected, "a"), only(selected, "a", "energy")
    assert one["difference_low"] > 0.1
    assert one["difference_twins"] == pytest.approx(one["auroc_twins"] - other["auroc_twins"])
    assert one["difference_twins_low"] < 0 < one["difference_twins_high"]
    assert one["baseline_twins"] == "paths: energy"
    said = selected.summary()
    assert "it is above the best baseline on 1 and below it on 0 of 1 attack" in said
    assert "(against twins above on 0 and below on 0)" in said
    assert "(0.500 against twins)" in said


def test_sides_that_agree_are_told_once() -> None:
    clean = clean_recording(1000)
    sets = {"a": altered_recording(clean, "a", 1.5)}
    for one in (clean, *sets.values()):
        one.images["noise"] = np.random.default_rng(len(one.images.columns)).normal(size=1000)
    detectors = [SIGNAL, Column("noise", "energy")]
    found = evaluate(clean, sets, detectors=detectors, **QUIET)
    one = only(found, "a")
    assert one["n_twins"] == one["n_clean"]
    assert one["auroc_twins"] == one["auroc"]
    assert "against twins above" not in found.summary()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("values", [5, 10_000])
def test_areas_of_groups_are_those_of_their_images(seed: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    clean, altered = (rng.integers(0, values, n).astype(float) for n in (60, 45))
    samples = Resamples.draw(np.ones(60, dtype=bool), 150, seed)
    counts, drawn = samples.of(np.arange(60)), samples.of(rng.integers(0, 60, 45))
    groups = np.stack([rng.random(60) < 0.5, np.ones(60, bool), np.zeros(60, bool)])
    found = auroc_draws_of_groups(clean, counts, altered, drawn, groups)
    for areas, group in zip(found[:2], groups[:2], strict=True):
        alone = auroc_draws(clean[group], counts[group], altered, drawn)
        np.testing.assert_allclose(areas, alone, atol=1e-6)
        times = counts[:, 3].astype(int) * group
        repeated = np.repeat(clean, times), np.repeat(altered, drawn[:, 3].astype(int))
        assert areas[3] == pytest.approx(auroc(*repeated), abs=1e-6)
    assert np.isnan(found[2]).all()


@pytest.fixture(scope="module")
def shouting() -> Evaluation:
    """Every image that is wrong when clean has a signal far above that of the others."""
    clean = clean_recording(2400, wrong=0.2)
    wrong = clean.images["prediction"] != clean.images["label"]
    clean.images["signal"] += np.where(wrong, 2.0, 0.0)
    sets = {"a": altered_recording(clean, "a", 1.0)}
    return evaluate(clean, sets, detectors=[SIGNAL], **QUIET)


def test_misclassified_clean_images_have_a_row_of_false_alarms(shouting: Evaluation) -> None:
    right, wrong = only(shouting, "clean"), only(shouting, "clean, misclassified")
    assert wrong["kind"] == "clean"
    assert right["fpr_5"] == pytest.approx(0.05, abs=0.03)
    assert wrong["fpr_5"] == pytest.approx(0.64, abs=0.08)  # P(N(2, 1) > 1.645)
    assert wrong["fpr_5_low"] < wrong["fpr_5"] < wrong["fpr_5_high"]
    share = wrong["n_clean"] / 2400
    assert share == pytest.approx(0.2, abs=0.02)
    for percent in (1, 5):
        mixed = (1 - share) * right[f"fpr_{percent}"] + share * wrong[f"fpr_{percent}"]
        assert right[f"fpr_all_{percent}"] == pytest.approx(mixed)
        assert right[f"fpr_all_{percent}_low"] < mixed < right[f"fpr_all_{percent}_high"]
    assert wrong["fpr_all_5"] == right["fpr_all_5"]
    assert np.isnan(only(shouting, "a")["fpr_all_5"])
    assert "of those that are misclassified" in shouting.summary()
    assert f"({right['fpr_all_5']:.1%} of all)" in shouting.summary()


def test_figure_shows_false_alarms_on_misclassified_images(shouting: Evaluation) -> None:
    panel = shouting.plot().axes[1]
    assert [x.get_text() for x in panel.get_xticklabels()] == ["clean", "clean, misclassified"]
    wrong = only(shouting, "clean, misclassified")["fpr_5"]
    assert f"{100 * wrong:.0f} %" in {text.get_text() for text in panel.texts}


def test_clean_images_that_are_all_right_have_one_row() -> None:
    clean = clean_recording(800, wrong=0.0)
    found = evaluate(clean, {"a": altered_recording(clean, "a", 1.0)}, detectors=[SIGNAL], **QUIET)
    one = only(found, "clean")
    assert one["fpr_all_5"] == one["fpr_5"]
    assert "clean, misclassified" not in set(found.frame["altered"])
    assert "misclassified" not in found.summary()


def test_misclassified_images_beside_ones_to_fit_on_are_not_tested() -> None:
    clean = clean_recording(800, wrong=0.3)
    clean.images["group"] = (clean.images.index // 4).astype(str)
    group_of = clean.images.set_index("image")["group"]
    log: list[tuple[str, set[str]]] = []
    sets = {"a": altered_recording(clean, "a", 1.0)}
    detectors = [Seen(log, supervised=False)]
    found = evaluate(clean, sets, detectors=detectors, **QUIET)
    wrong_ids = set(clean.images.loc[clean.images["prediction"] != clean.images["label"], "image"])
    (mistaken,) = (ids for what, ids in log if what == "scored" and ids <= wrong_ids)
    held = log[0][1] | log[1][1]  # to fit on, and to fix thresholds on
    assert not set(group_of[list(mistaken)]) & set(group_of[list(held)])
    assert only(found, "clean, misclassified", "seen")["n_clean"] == len(mistaken)


def test_supervised_detector_is_chosen_beside_the_tested_images() -> None:
    clean = clean_recording(1600)
    sets = {x: altered_recording(clean, x, 1.0, i) for i, x in enumerate(("fgsm-8", "cw-l2"))}
    log: list[tuple[str, set[str]]] = []
    evaluate(clean, sets, detectors=[Seen(log)], **QUIET)
    fitted = set().union(*(ids for what, ids in log if what != "scored"))
    for one in (clean, *sets.values()):
        sources = one.images.get("source_image", one.images["image"])
        told = 0.0 if one is clean else 5.0 * ~sources.isin(fitted)
        noise = np.random.default_rng(len(one.images.columns)).normal(size=1600)
        one.images["lucky"] = noise + told + (0.0 if one is clean else 0.2)
    detectors = [Column("lucky", "lucky", True), Column("signal", "learned", True)]
    found = evaluate(clean, sets, detectors=detectors, **QUIET)
    areas = found.matrix.groupby("detector")["auroc"].min()
    assert areas["lucky"] > 0.95 > areas["learned"]
    assert found.choice.supervised == "learned"
    assert "learned, chosen by families left out on the images to fit on" in found.summary()


def with_logits(recorded: Recorded, margin: np.ndarray) -> DetectionData:
    logits = np.zeros((len(margin), len(CLASSES)), dtype=np.float32)
    logits[np.arange(len(margin)), recorded.images["prediction"]] = margin
    sure = softmax(logits, axis=1).max(axis=1)  # float32: 1 beyond a margin of about 17
    images = recorded.images.assign(confidence=sure, margin=margin)
    return replace(detection_data(recorded), images=images, logits=logits)


def test_matching_on_the_margin_sees_beyond_a_confidence_of_one() -> None:
    rng = np.random.default_rng(0)
    clean, attacked = clean_recording(2400), altered_recording(clean_recording(2400), "a", 1.0)
    pair = (
        with_logits(clean, rng.normal(30, 3, 2400)),
        with_logits(attacked, rng.normal(33, 3, 2400)),
    )
    detectors = [SIGNAL, Column("margin", "energy")]
    found = evaluate(pair[0], {"a": pair[1]}, detectors=detectors, **QUIET)
    rows = found.matched.set_index("detector")
    assert (rows["matched_on"] == "logit margin").all()
    assert rows.loc["energy", "auroc_all"] > 0.7
    assert rows.loc["energy", "auroc"] == pytest.approx(0.5, abs=0.05)
    assert rows.loc["signal", "auroc"] == pytest.approx(rows.loc["signal", "auroc_all"], abs=0.06)
    blind = replace(pair[1], logits=None)
    rows = evaluate(pair[0], {"a": blind}, detectors=detectors, **QUIET).matched
    assert (rows["matched_on"] == "confidence").all()


def test_summary_warns_where_clean_images_are_unlike_the_attacked_ones() -> None:
    rng = np.random.default_rng(0)
    clean, attacked = clean_recording(1200), altered_recording(clean_recording(1200), "a", 1.0)
    near = with_logits(attacked, rng.normal(10, 1, 1200))
    far = with_logits(attacked, rng.normal(14, 1, 1200))
    found = evaluate(
        with_logits(clean, rng.normal(10, 1, 1200)),
        {"near": near, "far": far},
        detectors=[SIGNAL],
        **QUIET,
    )
    share = found.matched.set_index("altered")["matched_share"]
    assert share["far"] < 0.5 < share["near"]
    said = "At matched logit margin, clean images are like less than half of the attacked ones for 1 of 2"
    assert said in found.summary()
    assert f"{1 - share['far']:.0%} of far" in found.left_out
    alike = evaluate(
        with_logits(clean, rng.normal(10, 1, 1200)), {"near": near}, detectors=[SIGNAL], **QUIET
    )
    assert "At matched" not in alike.summary()
