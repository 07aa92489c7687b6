from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pathlens.detection.detectors import DETECTORS
from pathlens.detection.detectors.boosting import Boosting
from pathlens.detection.detectors.combined import Combined
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.softmax import Softmax
from pathlens.detection.detectors.votes import Votes
from pathlens.detection.saving import (
    SavedDetector,
    load_detector,
    read_scores,
    save_detector,
    write_scores,
)
from pathlens.detection.used import UsedImages
from pathlens.errors import PathLensError
from pathlens.recording import open_recording, write_recording

QUICK = {"forest": Forest(trees=5), "boosting": Boosting(rounds=5)}
ALL = {k: v for k, v in (DETECTORS | QUICK).items() if k not in ("soft-forest", "soft-boosting")}


def test_a_file_that_does_not_say_what_was_seen_still_loads(world, tmp_path):
    fitted = Votes().fit(world.clean)
    path = save_detector(tmp_path, SavedDetector(Votes(), fitted, "abc", 1.5))
    with np.load(path.with_suffix(".npz")) as held:
        assert set(held.files) == set(fitted.to_arrays())
    found = load_detector(path)
    assert found.used is None
    seen = UsedImages.of(world.clean.images["image"])
    again = load_detector(save_detector(tmp_path, replace(found, used=seen)))
    assert again.used.holds(world.clean.images["image"]).all()
    assert not again.used.holds(world.fresh.images["image"]).any()
    np.testing.assert_array_equal(again.fitted.score(world.fresh), fitted.score(world.fresh))


@pytest.mark.parametrize("name", ALL)
def test_a_fitted_detector_comes_back_equal(name, world, tmp_path):
    detector = ALL[name]
    fitted = detector.fit(world.clean, world.attacked if detector.supervised else None)
    path = save_detector(tmp_path, SavedDetector(detector, fitted, "abc", 1.5))
    found = load_detector(path, "abc")
    assert found.detector == detector
    assert (found.checkpoint, found.threshold) == ("abc", 1.5)
    assert list(found.fitted.layers) == list(fitted.layers)
    np.testing.assert_array_equal(found.fitted.score(world.fresh), fitted.score(world.fresh))


def test_settings_come_back(world, tmp_path):
    members = (Likelihood(layers=(2, "conv2"), prior=7.0), Votes(values="scores"), Softmax())
    detector = Combined(members=members, rule="sum")
    fitted = detector.fit(world.clean)
    found = load_detector(save_detector(tmp_path, SavedDetector(detector, fitted)))
    assert found.detector == detector
    np.testing.assert_array_equal(found.fitted.score(world.fresh), fitted.score(world.fresh))


def test_nothing_that_is_saved_needs_pickle(world, tmp_path):
    for detector in ALL.values():
        fitted = detector.fit(world.clean, world.attacked if detector.supervised else None)
        assert all(array.dtype != object for array in fitted.to_arrays().values())


def test_detectors_of_another_checkpoint_and_damaged_ones_are_refused(world, tmp_path):
    detector = Likelihood()
    path = save_detector(tmp_path, SavedDetector(detector, detector.fit(world.clean), "abc"))
    with pytest.raises(PathLensError, match="another checkpoint"):
        load_detector(path, "def")
    path.with_suffix(".npz").write_bytes(b"PK nothing")
    with pytest.raises(PathLensError, match="damaged"):
        load_detector(path)
    path.write_text(json.dumps({"detector": "likelihood"}))
    with pytest.raises(PathLensError, match="damaged"):
        load_detector(path)
    with pytest.raises(PathLensError, match="no file"):
        load_detector(tmp_path / "none.json")
    with pytest.raises(PathLensError, match="Unknown detector"):
        save_detector(tmp_path, SavedDetector(replace(detector, name="mine"), None))


def recording_of(folder, ids):
    bits = {"conv": np.random.default_rng(0).random((len(ids), 4)) < 0.5}
    write_recording(folder, bits, pd.DataFrame({"image": ids}))
    return open_recording(folder)


@pytest.fixture
def forest(world, tmp_path):
    """A saved forest, and its arrays by name, to be changed and written back."""
    detector = Forest(trees=3)
    fitted = detector.fit(world.clean, world.attacked)
    path = save_detector(tmp_path, SavedDetector(detector, fitted, "abc", 1.5))
    with np.load(path.with_suffix(".npz")) as held:
        return path, {name: held[name] for name in held.files}


@pytest.mark.parametrize(
    ("array", "value"),
    [("children", -1), ("children", 10**9), ("feature", 10**9), ("feature", -1), ("roots", 10**9)],
)
def test_trees_that_lead_out_of_the_file_are_refused(array, value, forest):
    path, arrays = forest
    load_detector(path)
    arrays[f"tree.{array}"].flat[0] = value
    np.savez(path.with_suffix(".npz"), **arrays)
    with pytest.raises(PathLensError, match="is damaged"):
        load_detector(path)


def test_a_tree_that_leads_back_is_refused(forest):
    path, arrays = forest
    arrays["tree.children"][-1] = 0
    np.savez(path.with_suffix(".npz"), **arrays)
    with pytest.raises(PathLensError, match="is damaged"):
        load_detector(path)


def test_scores_lie_beside_the_recording(tmp_path):
    recording = recording_of(tmp_path / "r", ["NA", "b,c", "d"])
    assert read_scores(recording) is None
    write_scores(recording, {"votes": (np.array([0.5, 2.0, -1.0]), 1.0)})
    write_scores(recording, {"energy": (np.array([1.0, 2.0, 3.0]), None)})
    write_scores(recording, {"votes": (np.array([0.25, 3.0, -1.0]), 1.0)})
    found = read_scores(recording).set_index(["detector", "image"])
    assert len(found) == 6
    assert found.loc[("votes", "NA"), "score"] == 0.25
    assert found.loc["votes"]["flagged"].tolist() == ["no", "yes", "no"]
    assert found.loc["energy"]["threshold"].isna().all()
    assert (found.loc["energy"]["flagged"] == "").all()
    recording.verify()


def test_scores_of_another_recording_in_the_folder_are_not_taken(tmp_path):
    recording = recording_of(tmp_path / "r", ["a", "b"])
    path = write_scores(recording, {"votes": (np.zeros(2), None)})
    path.write_text(path.read_text().replace(recording.hash, "0" * 64))
    assert read_scores(recording) is None


def test_a_damaged_table_of_scores_is_told(tmp_path):
    recording = recording_of(tmp_path / "r", ["a", "b"])
    (recording.folder / "detection_scores.csv").write_text("nothing\n1\n")
    with pytest.raises(PathLensError, match="no table of detection scores"):
        read_scores(recording)
