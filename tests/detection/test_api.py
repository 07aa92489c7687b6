from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest

from pathlens.detection import (
    DETECTORS,
    detection_data,
    evaluate_recordings,
    fit,
    load_detector,
    read_scores,
    score,
)
from pathlens.detection.data import joined, successful_attacks
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.logistic import Logistic
from pathlens.detection.sets import mark_altered
from pathlens.detection.sides import FIT, HELD_BACK, THRESHOLD, shared_out
from pathlens.detection.used import UsedImages
from pathlens.errors import PathLensError
from pathlens.recording import open_recording, write_recording
from tests.detection.evaluation_world import altered_recording, clean_recording
from tests.detection.recorded_world import write_world, written


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


def spying(kind, log):
    """A detector of a kind that notes the clean and the attacked images it is fitted on."""

    class Spy(kind):
        def fit(self, clean, attacked=None):
            log.append(set(clean.images["image"]))
            if attacked is not None:
                log.append(set(attacked.images["image"]))
            return super().fit(clean, attacked)

    return Spy()


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


def test_clean_images_are_rarely_flagged_and_attacked_ones_often(made, tmp_path):
    names = ["likelihood", "hamming", "votes"]
    # Images that the network gets wrong look like attacked ones, and would raise the threshold.
    right = written(tmp_path / "right", clean_recording(400, wrong=0.0))
    found = fit(right, names, false_alarms=0.1, out=tmp_path / "fitted")
    assert set(files(tmp_path / "fitted")) == {
        f"{n}.{kind}" for n in names for kind in ("json", "npz")
    }
    fresh = written(tmp_path / "fresh", clean_recording(400, seed=5, wrong=0.0))
    for name in names:
        alarms, threshold = score(fresh, tmp_path / "fitted" / f"{name}.json")[name]
        assert threshold == found[name].threshold
        assert (alarms > threshold).mean() < 0.17
        wrong = (made["fgsm-8"].images["prediction"] != made["fgsm-8"].images["label"]).to_numpy()
        attacked, _ = score(made["fgsm-8"], [found[name]])[name]
        assert (attacked[wrong] > threshold).mean() > 0.6


def side(recording, which, hold_back=0.2, seed=0):
    """Which images are on a side, whether right or wrong."""
    return shared_out(detection_data(recording), hold_back, seed) == which


def test_the_threshold_lets_at_most_its_share_of_the_other_images_pass(made, tmp_path):
    found = fit(made["clean"], "likelihood", false_alarms=0.05, out=tmp_path)["likelihood"]
    other = detection_data(made["clean"]).take(side(made["clean"], THRESHOLD))
    assert (other.images["label"] != other.images["prediction"]).any()
    scores = found.fitted.score(other)
    allowed = int(0.05 * (len(scores) + 1))
    assert (scores > found.threshold).sum() == allowed - 1
    assert (scores >= found.threshold).sum() == allowed


@pytest.mark.parametrize(("hold_back", "share"), [(0.0, 0.5), (0.2, 0.4), (0.5, 0.25)])
def test_a_share_of_every_class_is_fitted_on_if_right(made, tmp_path, hold_back, share):
    log = []
    for seed in (0, 0, 1):
        settings = {"hold_back": hold_back, "out": tmp_path, "seed": seed, "false_alarms": 0.1}
        fit(made["clean"], [spying(Likelihood, log)], **settings)
    table, first = made["clean"].images, side(made["clean"], FIT, hold_back)
    right = table["label"] == table["prediction"]
    seen, again, other = log
    assert seen == again != other
    assert seen == set(table["image"][right & first])
    counts = table[first].groupby("prediction").size()
    np.testing.assert_allclose(counts, table.groupby("prediction").size() * share, atol=1)
    held = side(made["clean"], HELD_BACK, hold_back)
    assert abs(held.sum() - hold_back * len(table)) < 1
    assert abs(first.sum() - side(made["clean"], THRESHOLD, hold_back).sum()) <= 1


def test_a_fitted_detector_remembers_what_it_has_seen_and_nothing_else(made, tmp_path):
    given = {"attacked": [made["fgsm-8"]], "out": tmp_path, "hold_back": 0.3}
    found = fit(made["clean"], ["likelihood", "logistic"], **given)
    ids = made["clean"].images["image"].to_numpy()
    held = side(made["clean"], HELD_BACK, 0.3)
    assert held.sum() == 120
    for name, saved in found.items():
        np.testing.assert_array_equal(saved.used.holds(ids), ~held)
        again = load_detector(tmp_path / f"{name}.json")
        np.testing.assert_array_equal(again.used.holds(ids), ~held)
    everything = fit(made["clean"], out=tmp_path, hold_back=0)["likelihood"]
    assert everything.used.holds(ids).all()


def test_a_set_of_images_holds_its_own_and_no_others():
    names = [f"test/cät {i}/{i}.png" for i in range(300)]
    used = UsedImages.of([*names[:200], *names[:50]])
    assert len(used) == 200
    assert used.holds(names).tolist() == [i < 200 for i in range(300)]
    assert not UsedImages.of([]).holds(names).any()
    assert used.holds([]).shape == (0,)
    digest = hashlib.blake2b(b"a", digest_size=8).digest()
    assert UsedImages.of(["a"]).hashes.tolist() == [int.from_bytes(digest, "little")]


@pytest.mark.parametrize("some_without", [False, True])
def test_images_of_one_group_stay_together(tmp_path, some_without):
    given = clean_recording(400, wrong=0.0)
    given.images["group"] = (given.images.index // 8).astype(str)
    if some_without:
        given.images.loc[:79, "group"] = ""
    log = []
    whole = written(tmp_path / "grouped", given)
    saved = fit(whole, [spying(Likelihood, log)], out=tmp_path / "out")["likelihood"]
    grouped = given.images[given.images["group"] != ""]
    inside = grouped["image"].isin(log[0]).groupby(grouped["group"]).mean()
    assert set(inside) == {0.0, 1.0}
    seen = saved.used.holds(grouped["image"])
    assert set(pd.Series(seen).groupby(grouped["group"].to_numpy()).mean()) == {0.0, 1.0}


def test_supervised_detectors_see_successful_attacks_on_images_fitted_on_only(made, tmp_path):
    log = []
    folder = made["fgsm-8"].folder
    fit(made["clean"], [spying(Logistic, log)], attacked=[folder], out=tmp_path)
    clean, attacked = log
    table = made["fgsm-8"].images
    wrong = table["label"] != table["prediction"]
    assert attacked == set(table["image"][wrong & table["source_image"].isin(clean)])
    assert 0 < len(attacked) < len(clean)


def test_successful_attacks_know_what_they_were_made_of(made):
    attacked = detection_data(made["fgsm-8"])
    found = successful_attacks(attacked, attacked.sources)
    source = dict(zip(attacked.images["image"], attacked.sources, strict=True))
    assert len(found) > 0
    assert list(found.sources) == [source[name] for name in found.images["image"]]
    assert set(found.sources).isdisjoint(found.images["image"])
    assert list(joined([found, found]).sources) == 2 * list(found.sources)


def test_scores_are_alike_however_detectors_are_given_and_lie_beside(made, tmp_path):
    place = tmp_path / "clean"
    shutil.copytree(made["clean"].folder, place)
    fitted = fit(place, ["likelihood", "votes", "softmax"])
    ways = [
        score(place, fitted),
        score(place, list(fitted.values())),
        score(place, place / "detectors"),
    ]
    ways.append({name: score(place, place / "detectors" / f"{name}.json")[name] for name in fitted})
    for found in ways[1:]:
        assert set(found) == set(ways[0])
        for name, (values, threshold) in found.items():
            np.testing.assert_array_equal(values, ways[0][name][0])
            assert threshold == ways[0][name][1]
    recording = open_recording(place)
    table = read_scores(recording)
    assert len(table) == 3 * 400
    own = table[table["detector"] == "votes"]
    np.testing.assert_allclose(own["score"], ways[0]["votes"][0])
    assert ((own["flagged"] == "yes") == (own["score"] > own["threshold"])).all()
    recording.verify()


def test_a_detector_on_the_output_needs_no_layers(made, tmp_path):
    place = shutil.copytree(made["clean"].folder, tmp_path / "clean")
    values, _ = score(place, fit(place, "softmax"))["softmax"]
    expected = DETECTORS["softmax"].fit(detection_data(made["clean"]))
    np.testing.assert_allclose(values, expected.score(detection_data(made["clean"])))


def test_chosen_layers_alone_are_fitted(made, tmp_path):
    found = fit(made["clean"], layers=["body.2", 4], out=tmp_path)["likelihood"]
    assert found.fitted.layers.names == ["body.2", "body.3"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"detectors": ()}, "at least one detector"),
        ({"detectors": "likelyhood"}, "Unknown detector 'likelyhood'.*likelihood"),
        ({"detectors": ["likelihood", Likelihood(name="mine")]}, "Unknown detector 'mine'"),
        ({"detectors": ["votes", "votes"]}, "'votes' is asked for twice"),
        ({"false_alarms": 0.0}, "not between 0 and 1"),
        ({"false_alarms": 1.0}, "not between 0 and 1"),
        ({"hold_back": 1.0}, "1.0 to hold back is not from 0 to below 1"),
        ({"hold_back": -0.1}, "-0.1 to hold back is not from 0 to below 1"),
        ({"false_alarms": 0.001}, "fix no threshold for 0.10% false alarms: give 999"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"detectors": ["likelihood", "mahalanobis"]}, "record --with features"),
        ({"detectors": ["likelihood", "logistic"]}, "learns from attacked images"),
        ({"layers": ["body.9"]}, "Unknown layer"),
    ],
)
def test_bad_fits_get_one_sentence_and_write_nothing(made, tmp_path, settings, sentence):
    with pytest.raises(PathLensError, match=sentence) as caught:
        fit(made["clean"], out=tmp_path / "out", **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_altered_images_are_not_fitted_on_as_if_they_were_clean(made, tmp_path):
    with pytest.raises(PathLensError, match="holds altered images"):
        fit(made["noise-8"], out=tmp_path)
    with pytest.raises(PathLensError, match="holds altered images"):
        evaluate_recordings(made["fgsm-8"], progress=False)


def test_attacks_of_another_checkpoint_or_without_labels_are_refused(made, tmp_path):
    given = altered_recording(clean_recording(400), "fgsm-8", 1.0)
    other = written(tmp_path / "other", given, "def")
    with pytest.raises(PathLensError, match="another checkpoint"):
        fit(made["clean"], "logistic", attacked=[other], out=tmp_path / "out")
    bare = write_recording(
        tmp_path / "bare",
        given.table,
        given.images[["image", "prediction", "source_image"]],
        checkpoint="abc",
        classes=made["clean"].classes,
    )
    with pytest.raises(PathLensError, match="does not say the true class"):
        fit(made["clean"], "logistic", attacked=[bare], out=tmp_path / "out")


def test_no_image_that_is_right_is_told(tmp_path):
    given = clean_recording(40, wrong=1.0)
    with pytest.raises(PathLensError, match="no clean images"):
        fit(written(tmp_path / "wrong", given), out=tmp_path / "out")


def test_nothing_to_score_with_and_strangers_are_told(made, tmp_path):
    fitted = fit(made["clean"], out=tmp_path / "out")
    for given in ([], {}, tmp_path / "nowhere"):
        with pytest.raises(PathLensError, match="no fitted detector"):
            score(made["clean"], given)
    other = written(tmp_path / "other", clean_recording(40), "def")
    for given in (fitted, tmp_path / "out", tmp_path / "out" / "likelihood.json"):
        with pytest.raises(PathLensError, match="another checkpoint"):
            score(other, given)
    assert not (other.folder / "detection_scores.csv").exists()


def test_evaluation_takes_the_altered_recordings_beside_the_clean_one(made, tmp_path):
    place = shutil.copytree(made["clean"].folder.parent, tmp_path / "code" / "recordings")
    settings = {"detectors": ["likelihood", "softmax"], "progress": False}
    found = evaluate_recordings(
        made["clean"].folder, baselines=[shutil.move(place / "clean", place / "other")], **settings
    )
    kinds = found.frame.groupby("altered")["kind"].first()
    assert set(kinds[["clean", "clean, misclassified"]]) == {"clean"}
    assert kinds[["fgsm-8", "noise-8"]].to_list() == ["attack", "benign"]
    areas = found.frame[found.frame["altered"] == "fgsm-8"].set_index(["code", "detector"])["auroc"]
    assert areas[("paths", "likelihood")] > 0.8
    assert areas[("other", "likelihood")] == areas[("paths", "likelihood")]
    named = evaluate_recordings(made["clean"], [made["fgsm-8"].folder], **settings)
    assert set(named.frame["altered"]) == {"clean", "clean, misclassified", "fgsm-8"}
    own = named.frame[named.frame["altered"] == "fgsm-8"]
    assert isinstance(own, pd.DataFrame)
    assert (own["code"] == "paths").all()


def test_baselines_of_one_name_and_negative_seeds_are_told(made, tmp_path):
    codes = []
    for name in ("a", "b"):
        shutil.copytree(made["clean"].folder.parent, tmp_path / name)
        codes.append(tmp_path / name / "clean")
    with pytest.raises(PathLensError, match="both called 'clean'"):
        evaluate_recordings(made["clean"], baselines=codes, progress=False)
    with pytest.raises(PathLensError, match="seed -2 is negative"):
        evaluate_recordings(made["clean"], seed=-2, progress=False)


def test_a_recording_that_was_made_again_is_not_taken_for_the_old_one(made, tmp_path):
    place = shutil.copytree(made["clean"].folder.parent, tmp_path / "recordings")
    fresh = altered_recording(clean_recording(400), "fgsm-8", 1.0, seed=9)
    shutil.rmtree(place / "altered-fgsm-8")
    again = written(place / "altered-fgsm-8", fresh)
    shutil.copy(made["fgsm-8"].folder / "altered.json", again.folder)
    with pytest.raises(PathLensError, match="speaks of another recording"):
        evaluate_recordings(place / "clean", progress=False)
    mark_altered(again, {"label": "fgsm-8", "kind": "attack"})
    assert not evaluate_recordings(
        place / "clean", detectors=["likelihood"], progress=False
    ).frame.empty


def adaptive_set(folder, label="adaptive-8-likelihood"):
    """An attack that knows a detector, recorded beside the others."""
    given = altered_recording(clean_recording(400), label, 0.3)
    found = written(folder / f"altered-{label}", given)
    mark_altered(found, {"label": label, "kind": "attack"})
    return found


def test_attacks_that_know_a_detector_are_evaluated_only_if_named(made, tmp_path):
    place = shutil.copytree(made["clean"].folder.parent, tmp_path / "recordings")
    known = adaptive_set(place)
    settings = {"detectors": ["likelihood", "logistic"], "progress": False}
    found = evaluate_recordings(place / "clean", **settings)
    plain = evaluate_recordings(made["clean"], **settings)
    pd.testing.assert_frame_equal(found.frame, plain.frame)
    pd.testing.assert_frame_equal(found.matrix, plain.matrix)
    assert (
        "adaptive-8-likelihood, made against one fitted detector and stopped at" in found.left_out
    )
    assert found.left_out.endswith(plain.left_out)
    assert "adaptive" not in plain.left_out
    beside = evaluate_recordings(place / "clean", baselines=[place / "clean"], **settings)
    assert not beside.frame["altered"].str.startswith("adaptive").any()
    named = evaluate_recordings(
        place / "clean", [known.folder, place / "altered-fgsm-8"], **settings
    )
    assert {"adaptive-8-likelihood", "fgsm-8"} <= set(named.frame["altered"])
    assert "stopped at its threshold" not in named.left_out


def test_where_all_attacks_know_a_detector_it_is_told(made, tmp_path):
    shutil.copytree(made["clean"].folder, tmp_path / "clean")
    adaptive_set(tmp_path, "adaptive-8-votes-search")
    with pytest.raises(PathLensError, match="attacks that know a detector, whose own success"):
        evaluate_recordings(tmp_path / "clean", progress=False)
