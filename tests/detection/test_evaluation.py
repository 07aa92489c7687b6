from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pathlens.detection.data import detection_data
from pathlens.detection.evaluation import Evaluation, evaluate
from pathlens.detection.evaluation.depth import ClassDistances
from pathlens.errors import PathLensError
from tests.detection.evaluation_world import (
    CLASSES,
    Column,
    Recorded,
    Seen,
    altered_recording,
    clean_recording,
)

SIGNAL = Column("signal", "signal")
SOFTMAX = Column("doubt", "softmax")
LEARNED = Column("signal", "learned", supervised=True)
QUIET = {"progress": False, "few": (), "bootstrap": 100}


def doubting(recording: Recorded) -> Recorded:
    return replace(
        recording, images=recording.images.assign(doubt=1 - recording.images["confidence"])
    )


@pytest.fixture(scope="module")
def clean() -> Recorded:
    return doubting(clean_recording(2400))


@pytest.fixture(scope="module")
def altered(clean: Recorded) -> dict[str, Recorded]:
    return {
        "fgsm-8": doubting(altered_recording(clean, "fgsm-8", 1.5, 1, success=0.8, crosses=2)),
        "pgd$8": doubting(altered_recording(clean, "pgd$8", 1.0, 2, crosses=1)),
        "deepfool": doubting(altered_recording(clean, "deepfool", -1.0, 3, count=1500, crosses=3)),
        "noise-8": doubting(altered_recording(clean, "noise-8", 0.0, 4, benign=True)),
    }


@pytest.fixture(scope="module")
def found(clean: Recorded, altered: dict[str, Recorded]) -> Evaluation:
    return evaluate(
        clean,
        altered,
        benign=["noise-8"],
        detectors=[SIGNAL, SOFTMAX, LEARNED],
        baselines={"response": (clean, altered)},
        few=(1, 5),
        seeds=3,
        bootstrap=150,
        progress=False,
    )


def row(found: Evaluation, detector: str, altered: str, fitted_on: str = "clean") -> pd.Series:
    frame = found.frame
    rows = frame[(frame["detector"] == detector) & (frame["altered"] == altered)]
    rows = rows[(rows["fitted_on"] == fitted_on) & (rows["code"] == "paths")]
    assert len(rows) == 1
    return rows.iloc[0]


def test_planted_detector_has_the_known_area(found: Evaluation) -> None:
    for name, gap in {"fgsm-8": 1.5, "pgd$8": 1.0, "deepfool": -1.0, "noise-8": 0.0}.items():
        one = row(found, "signal", name)
        assert one["auroc"] == pytest.approx(norm.cdf(gap / np.sqrt(2)), abs=0.035)
        assert one["ci_low"] < one["auroc"] < one["ci_high"]
        assert one["ci_high"] - one["ci_low"] < 0.08


def test_rates_are_those_of_normal_scores(found: Evaluation) -> None:
    one = row(found, "signal", "fgsm-8")
    assert one["fpr_5"] == pytest.approx(0.05, abs=0.025)
    assert one["tpr_5"] == pytest.approx(norm.sf(norm.isf(0.05) - 1.5), abs=0.08)
    assert one["tpr_1"] < one["tpr_5"]
    benign = row(found, "signal", "noise-8")
    assert benign["alarms_5"] == pytest.approx(0.05, abs=0.03)
    assert np.isnan(benign["tpr_5"])
    assert np.isnan(one["alarms_5"])


def test_failed_attacks_are_counted_and_not_scored(
    found: Evaluation, altered: dict[str, Recorded]
) -> None:
    one = row(found, "signal", "fgsm-8")
    assert one["n_failed"] == pytest.approx(0.2 * one["n_clean"], rel=0.25)
    assert one["n_failed"] + one["n_altered"] == one["n_clean"]
    assert one["n_changed"] == one["n_altered"]
    assert row(found, "signal", "noise-8")["n_altered"] == one["n_clean"]


def test_score_of_a_failed_attack_changes_nothing(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    given = altered["fgsm-8"]
    failed = given.images["prediction"] == given.images["label"]
    shouting = replace(
        given, images=given.images.assign(signal=given.images["signal"] + 99 * failed)
    )
    areas = [
        evaluate(clean, {"a": one}, detectors=[SIGNAL], **QUIET).frame["auroc"].max()
        for one in (given, shouting)
    ]
    assert areas[0] == areas[1]


def test_images_of_sources_that_are_wrong_when_clean_change_nothing(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    given = altered["fgsm-8"]
    wrong = (clean.images["prediction"] != clean.images["label"]).to_numpy()
    shouting = replace(
        given, images=given.images.assign(signal=given.images["signal"] + 99 * wrong)
    )
    loud = replace(clean, images=clean.images.assign(signal=clean.images["signal"] + 99 * wrong))
    areas = [
        evaluate(*pair, detectors=[SIGNAL], **QUIET).frame["auroc"].max()
        for pair in ((clean, {"a": given}), (loud, {"a": shouting}))
    ]
    assert areas[0] == areas[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("grouped", [False, True])
def test_no_source_stands_on_two_sides(seed: int, grouped: bool) -> None:
    clean = clean_recording(800)
    group = pd.Series(clean.images.index // 4).astype(str) if grouped else clean.images["image"]
    group_of = dict(zip(clean.images["image"], group, strict=True))
    if grouped:
        clean.images["group"] = group
    sets = {x: altered_recording(clean, x, 1.0, i) for i, x in enumerate(("a", "b", "c"))}
    log: list[tuple[str, set[str]]] = []
    evaluate(clean, sets, detectors=[Seen(log)], seed=seed, **QUIET)
    fits, held = set(), []
    for step, (what, sources) in enumerate(log):
        groups = {group_of[x] for x in sources}
        if what == "scored":
            held.append(groups)
        else:
            fits |= groups
        if what == "clean":
            thresholds = {group_of[x] for x in log[step + 2][1]}
            for _, tested in log[step + 3 : step + 5]:
                assert not thresholds & {group_of[x] for x in tested}
    assert fits
    for groups in held:
        assert not fits & groups


def test_chance_is_a_half() -> None:
    areas = []
    for seed in range(6):
        clean = clean_recording(600, seed)
        sets = {"a": altered_recording(clean, "a", 0.0, seed + 50)}
        one = evaluate(clean, sets, detectors=[SIGNAL], seed=seed, **QUIET).frame
        areas.append(one["auroc"].max())
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)


def test_supervised_detectors_are_fitted_on_every_attack_and_on_all_but_one(
    found: Evaluation,
) -> None:
    matrix = found.matrix[found.matrix["code"] == "paths"]
    assert len(matrix) == 3 * 3 + 3
    table = matrix.pivot(index="fitted_on", columns="altered", values="auroc")
    assert table.loc["fgsm-8", "pgd$8"] == table.loc["pgd$8", "pgd$8"]
    assert table.loc["fgsm-8", "deepfool"] == pytest.approx(1 - table.loc["deepfool", "deepfool"])
    assert table.loc["all other attacks", "deepfool"] < 0.3
    assert row(found, "learned", "deepfool", "this attack")["auroc"] > 0.7
    assert row(found, "learned", "deepfool", "all other attacks")["auroc"] < 0.3
    assert "deepfool" in found.summary()


def test_clean_images_have_their_own_rows(found: Evaluation) -> None:
    one = row(found, "signal", "clean")
    assert one["kind"] == "clean"
    assert one["n_clean"] == found.split["test"]
    assert one["fpr_5"] == row(found, "signal", "fgsm-8")["fpr_5"]
    assert np.isnan(one["auroc"])


def test_matched_confidence_leaves_nothing_to_a_detector_of_confidence(found: Evaluation) -> None:
    matched = found.matched[found.matched["code"] == "paths"]
    doubt = matched[matched["detector"] == "softmax"]
    assert (doubt["auroc_all"] > 0.75).all()
    assert (doubt["auroc"] - 0.5).abs().max() < 0.06
    assert ((doubt["matched_share"] > 0.3) & (doubt["matched_share"] < 1)).all()
    signal = matched[(matched["detector"] == "signal") & (matched["altered"] == "fgsm-8")].iloc[0]
    assert signal["auroc"] == pytest.approx(signal["auroc_all"], abs=0.05)
    assert "matched confidence" in found.left_out


def test_difference_is_to_the_best_baseline_of_the_column(found: Evaluation) -> None:
    one = row(found, "learned", "deepfool", "this attack")
    # The other code has the same signal here, so that its detector is as good.
    best = max(row(found, "softmax", "deepfool")["auroc"], one["auroc"])
    assert one["difference"] == pytest.approx(one["auroc"] - best)
    assert one["difference_low"] <= one["difference"] <= one["difference_high"]
    assert row(found, "softmax", "deepfool")["baseline"] == ""


def test_paired_difference_is_narrower_than_two_intervals(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    rng = np.random.default_rng(0)

    def worse(recording: Recorded) -> Recorded:
        signal = recording.images["signal"]
        return replace(
            recording,
            images=recording.images.assign(worse=signal + 0.2 * rng.normal(size=len(signal))),
        )

    sets = {"a": worse(altered["fgsm-8"])}
    detectors = [SIGNAL, Column("worse", "energy")]
    frame = evaluate(worse(clean), sets, detectors=detectors, **QUIET).frame
    one = frame[(frame["detector"] == "signal") & (frame["kind"] == "attack")].iloc[0]
    assert one["baseline"] == "paths: energy"
    width = one["difference_high"] - one["difference_low"]
    assert 0 < width < 0.6 * (one["ci_high"] - one["ci_low"])


def test_sum_of_two_independent_signals_is_better_than_either() -> None:
    rng = np.random.default_rng(2)
    clean = clean_recording(2000)
    clean.images["other"] = rng.normal(size=2000) * 50
    attacked = altered_recording(clean, "a", 1.0)
    attacked.images["other"] = (rng.normal(size=2000) + 1) * 50
    detectors = [SIGNAL, Column("other", "energy"), Column("confidence", "softmax")]
    found = evaluate(clean, {"a": attacked}, detectors=detectors, **QUIET)
    assert (found.choice.detector, found.choice.baseline) == ("signal", "energy")
    one = found.combined.iloc[0]
    assert one["auroc"] == pytest.approx(norm.cdf(1.0), abs=0.03)
    assert one["difference_low"] > 0
    assert "better than either alone on 1" in found.summary()


def test_few_examples_fit_what_they_are_given(found: Evaluation) -> None:
    few = found.few[(found.few["code"] == "paths") & (found.few["detector"] == "learned")]
    few = few.set_index(["altered", "examples"])
    assert few.loc[("fgsm-8", "5"), "n_fit_altered"] == 5 * len(CLASSES)
    assert ("fgsm-8", "1") not in few.index
    assert "supervised detectors fitted on 1 image a class" in found.left_out
    clean = found.few[(found.few["code"] == "paths") & (found.few["fitted_on"] == "clean")]
    assert set(clean["examples"]) == {"1", "5", "all"}
    assert few.loc[("fgsm-8", "5"), "n_fit_clean"] == 5 * len(CLASSES)
    assert few.loc[("fgsm-8", "5"), "draws"] == 3
    full = few.loc[("fgsm-8", "all")]
    assert full["auroc"] == row(found, "learned", "fgsm-8", "this attack")["auroc"]
    assert full["n_fit_clean"] == found.split["fit"]


def test_few_examples_are_drawn_from_the_images_to_fit() -> None:
    clean = clean_recording(400)
    log: list[tuple[str, set[str]]] = []
    sets = {"a": altered_recording(clean, "a", 1.0)}
    evaluate(clean, sets, detectors=[Seen(log)], few=(2,), bootstrap=0, progress=False)
    full, *few = [sources for what, sources in log if what == "clean"][1:]
    assert len(few) == 3
    for drawn in few:
        assert len(drawn) == 2 * len(CLASSES)
        assert drawn < full
    assert few[0] != few[1]


def test_crossing_is_found_where_it_was_planted(found: Evaluation) -> None:
    crossings = found.crossings[found.crossings["code"] == "paths"].set_index("altered")
    assert crossings["layer"].to_dict() == {"fgsm-8": 3, "pgd$8": 2, "deepfool": 4}
    assert (crossings["low"] == crossings["high"]).all()
    assert (crossings["never"] == 0).all()


def test_clean_images_are_at_no_distance_and_attacked_ones_far_from_the_other_class(
    found: Evaluation,
) -> None:
    depth = found.depth[found.depth["code"] == "paths"]
    assert depth.loc[depth["altered"] == "clean", "distance"].abs().max() < 0.2
    attacked = depth[depth["altered"] == "fgsm-8"].pivot(
        index="layer", columns="path_of", values="distance"
    )
    assert (attacked.loc[[1, 2], "predicted"] > 1).all()
    assert (attacked.loc[[1, 2], "true"].abs() < 0.2).all()
    assert (attacked.loc[[3, 4], "true"] > 1).all()


def test_distance_is_that_of_a_loop_over_filters() -> None:
    data = detection_data(clean_recording(60, wrong=0.0))
    fitting, rest = data.take(np.arange(30)), data.take(np.arange(30, 60))
    classes = rest.images["label"].to_numpy()
    found = ClassDistances(fitting, rest)(rest, (classes + 1) % 4)
    for place, layer in enumerate(data.layers.names):

        def distance(image: int, label: int, layer: str = layer) -> float:
            own = fitting.bits[layer][(fitting.images["label"] == label).to_numpy()]
            return sum(
                abs(bit - rate)
                for bit, rate in zip(rest.bits[layer][image], own.mean(axis=0), strict=True)
            )

        reference = [distance(i, classes[i]) for i in range(30)]
        wanted = (distance(7, (classes[7] + 1) % 4) - np.mean(reference)) / np.std(reference)
        assert found[7, place] == pytest.approx(wanted, rel=1e-4)


def test_class_without_images_to_fit_has_the_path_of_all() -> None:
    data = detection_data(clean_recording(80, wrong=0.0))
    known = data.take((data.images["label"] < 3).to_numpy())
    found = ClassDistances(known, known)(known, np.full(len(known), 3))
    rates = known.bits["body.0"].mean(axis=0)
    raw = np.abs(known.bits["body.0"] - rates).sum(axis=1)
    assert np.corrcoef(found[:, 0], raw)[0, 1] == pytest.approx(1, abs=1e-6)


def test_several_splits_say_how_areas_spread(found: Evaluation) -> None:
    spread = found.spread[found.spread["detector"] == "signal"]
    assert (spread["seeds"] == 3).all()
    assert (spread["auroc_sd"] > 0).all()
    assert (spread["auroc_sd"] < 0.03).all()


def test_same_seed_gives_the_same_tables(clean: Recorded, altered: dict[str, Recorded]) -> None:
    sets = {"a": altered["fgsm-8"]}
    first, again = (evaluate(clean, sets, detectors=[SIGNAL, LEARNED], **QUIET) for _ in range(2))
    pd.testing.assert_frame_equal(first.frame, again.frame)
    other = evaluate(clean, sets, detectors=[SIGNAL, LEARNED], seed=1, **QUIET)
    assert not first.frame.equals(other.frame)


def test_saved_folder_holds_tables_figures_and_what_they_say(
    found: Evaluation, tmp_path: Path
) -> None:
    written = found.save(tmp_path / "evaluation")
    assert all(path.stat().st_size for path in written)
    names = {path.name for path in written}
    assert {"detection.csv", "matrix.csv", "detection.png", "depth.svg", "summary.txt"} <= names
    again = pd.read_csv(tmp_path / "evaluation" / "detection.csv", keep_default_na=False)
    assert len(again) == len(found.frame)
    assert found.summary() in (tmp_path / "evaluation" / "summary.txt").read_text()


def test_figures_write_every_value(found: Evaluation) -> None:
    left, right = found.plot().axes[:2]
    texts = {text.get_text() for text in left.texts}
    assert f"{row(found, 'signal', 'fgsm-8')['auroc']:.2f}" in texts
    assert any(r"pgd\$8" in label.get_text() for label in left.get_xticklabels())
    assert f"{100 * row(found, 'signal', 'noise-8')['alarms_5']:.0f} %" in {
        text.get_text() for text in right.texts
    }


def test_one_attack_and_no_supervised_detector_is_drawn_and_told(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    found = evaluate(
        clean, {"a": altered["fgsm-8"]}, detectors=[SIGNAL], few=(), bootstrap=0, progress=False
    )
    assert found.matrix.empty
    assert found.combined.empty
    for figure in (found.plot(), found.plot_depth(), found.plot_matrix()):
        assert figure.axes
    assert np.isnan(found.frame["ci_low"]).all()
    assert "mean AUROC" in found.summary()


def test_an_attack_without_success_is_left_out_and_named(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    sets = {
        "a": altered["fgsm-8"],
        "weak": doubting(altered_recording(clean, "weak", 1.0, success=0.0)),
    }
    found = evaluate(clean, sets, detectors=[SIGNAL, LEARNED], **QUIET)
    one = row(found, "signal", "weak")
    assert one["n_altered"] == 0
    assert one["n_failed"] > 0
    assert np.isnan(one["auroc"])
    assert "weak, of which no image succeeded" in found.left_out
    found.plot(), found.plot_depth(), found.plot_matrix(), found.summary()


def test_detector_that_cannot_be_fitted_is_left_out_and_named(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    class Refusing(Column):
        def fit(self, clean: object, attacked: object = None) -> None:
            raise PathLensError("It needs scores.")

    sets = {"a": altered["fgsm-8"]}
    found = evaluate(clean, sets, detectors=[SIGNAL, Refusing("x", "picky")], **QUIET)
    assert "picky on paths: It needs scores" in found.left_out
    with pytest.raises(PathLensError, match="No detector could be fitted: picky"):
        evaluate(clean, sets, detectors=[Refusing("x", "picky")], **QUIET)


def drop(column: str):
    return lambda recording: replace(recording, images=recording.images.drop(columns=column))


def renamed(recording: Recorded) -> Recorded:
    sources = "x" + recording.images["source_image"]
    return replace(recording, images=recording.images.assign(source_image=sources))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (drop("source_image"), "column source_image"),
        (renamed, "2,400 of 2,400 images .* the clean recording does not hold"),
        (drop("prediction"), "Not every image of the altered set 'a' has a prediction"),
        (lambda x: replace(x, manifest={"checkpoint": "def"}), "checkpoint def"),
        (
            lambda x: replace(x, images=x.images.assign(prediction=x.images["label"])),
            "No attack succeeded",
        ),
        (lambda x: replace(x, table={k: v[:, :5] for k, v in x.table.items()}), "filters"),
    ],
)
def test_bad_altered_sets_are_told_apart(
    clean: Recorded, altered: dict[str, Recorded], spoil, said: str
) -> None:
    with pytest.raises(PathLensError, match=said):
        evaluate(clean, {"a": spoil(altered["fgsm-8"])}, detectors=[SIGNAL], **QUIET)


def test_bad_calls_are_told_apart(clean: Recorded, altered: dict[str, Recorded]) -> None:
    sets = {"a": altered["fgsm-8"]}
    small = clean_recording(60)
    calls = [
        ("too few images", small, {"a": altered_recording(small, "a", 1.0)}, {}),
        ("no attacked set", clean, sets, {"benign": ["a"]}),
        ("no altered set 'b'", clean, sets, {"benign": ["b"]}),
        ("called 'clean'", clean, {"clean": sets["a"]}, {}),
        ("called 'paths'", clean, sets, {"baselines": {"paths": (clean, sets)}}),
        ("lacks the altered set 'a'", clean, sets, {"baselines": {"response": (clean, {})}}),
        ("give at least 1", clean, sets, {"seeds": 0}),
        ("has a label", drop("label")(clean), sets, {}),
    ]
    for said, recording, given, more in calls:
        with pytest.raises(PathLensError, match=said):
            evaluate(recording, given, detectors=[SIGNAL], **QUIET, **more)


def test_baseline_codes_are_read_by_image_whatever_their_order(
    clean: Recorded, altered: dict[str, Recorded]
) -> None:
    class OnBits(Column):
        def fit(self, clean: object, attacked: object = None) -> OnBits:
            return self

        def score(self, data) -> np.ndarray:
            return data.path().sum(axis=1) + data.images["label"] / 10

    def shuffled(recording: Recorded) -> Recorded:
        order = np.random.default_rng(5).permutation(len(recording.images))
        images = recording.images.iloc[order].reset_index(drop=True).assign(prediction=0, label=3)
        return Recorded(images, {k: v[order] for k, v in recording.table.items()})

    sets = {"a": altered["fgsm-8"]}
    other = (shuffled(clean), {"a": shuffled(sets["a"])})
    detectors = [OnBits("x", "bits")]
    frame = evaluate(clean, sets, detectors=detectors, baselines={"code": other}, **QUIET).frame
    areas = frame[frame["kind"] == "attack"].set_index("code")["auroc"]
    assert areas["code"] == areas["paths"]
    short = (
        shuffled(clean),
        {"a": replace(sets["a"], images=sets["a"].images.assign(image=lambda x: "x" + x["image"]))},
    )
    with pytest.raises(PathLensError, match="lacks"):
        evaluate(clean, sets, detectors=detectors, baselines={"code": short}, **QUIET)
