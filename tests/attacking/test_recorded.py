"""Attacking and recording in one go; noise stands for attacks where gradients are not the point."""

import json
import shutil

import numpy as np
import pytest

import pathlens.attacking.recorded as recorded
from pathlens.attacking import SignNoise, attack
from pathlens.attacking.folder import AlteredFolder
from pathlens.detection import altered_sets, detection_data
from pathlens.errors import PathLensError
from pathlens.recording import open_recording
from tests.attacking.conftest import snapshot

FEW = {"images": 12, "progress": False}


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """A copy of the run, attacked, re-encoded and with noise, and what came back."""
    pytest.importorskip("foolbox")
    run = shutil.copytree(trained / "gated", tmp_path_factory.mktemp("recorded") / "gated")
    return run, attack(run, ["fgsm-8", "noise-4"], jpeg=True, **FEW)


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    """A copy of the run whose attack nothing interrupted."""
    run = shutil.copytree(trained / "gated", tmp_path_factory.mktemp("whole") / "gated")
    attack(run, ["noise-2", "noise-4"], **FEW)
    return run


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained / "gated", tmp_path / "gated")


def test_clean_and_altered_images_are_recorded_with_all_that_detectors_read(made):
    run, found = made
    assert list(found) == ["clean", "fgsm-8", "fgsm-8-jpeg", "noise-4"]
    clean = set(found["clean"].images["image"])
    for label, recording in found.items():
        data = detection_data(recording)
        assert data.scores.keys() == data.bits.keys()
        np.testing.assert_array_equal(data.logits.argmax(axis=1), data.predictions)
        assert len(data.need_features()) == len(data)
        if label != "clean":
            assert recording.folder == run / "recordings" / f"altered-{label}"
            assert set(data.images["attack"]) == {label}
            assert set(data.sources) <= clean
            assert len(data) == 12


def test_detection_finds_them_and_knows_the_controls(made):
    _, found = made
    sets = altered_sets(found["clean"])
    assert set(sets.recordings) == set(found) - {"clean"}
    assert sets.benign == {"noise-4"}
    about = json.loads((found["fgsm-8"].folder / "altered.json").read_text())
    assert about["recording"] == found["fgsm-8"].hash
    assert about["settings"]["epsilon"] == pytest.approx(8 / 255)


def test_what_is_there_is_opened_and_left_as_it_is(made, monkeypatch):
    run, _ = made
    before = snapshot(run / "altered"), snapshot(run / "recordings")
    monkeypatch.setattr(AlteredFolder, "write_part", None)
    again = attack(run, ["fgsm-8", "noise-4"], jpeg=True, **FEW)
    assert list(again) == ["clean", "fgsm-8", "fgsm-8-jpeg", "noise-4"]
    assert (snapshot(run / "altered"), snapshot(run / "recordings")) == before


def test_one_label_one_control_with_settings_and_ids_are_taken(run):
    ids = list(attack(run, "noise-2", **FEW)["noise-2"].images["source_image"])
    found = attack(run, SignNoise(6 / 255), images=iter(ids[:5]), progress=False)
    assert sorted(found["noise-6"].images["source_image"]) == sorted(ids[:5])


@pytest.mark.parametrize("dies_in", ["clean", "altering", "recording", "marking"])
def test_an_interrupted_attack_goes_on_and_makes_the_same(run, whole, monkeypatch, dies_in):
    calls = []

    def dying(original, at):
        def call(*arguments, **settings):
            calls.append(1)
            if len(calls) == at:
                raise KeyboardInterrupt
            return original(*arguments, **settings)

        return call

    with monkeypatch.context() as patched:
        if dies_in == "altering":
            patched.setattr(AlteredFolder, "write_part", dying(AlteredFolder.write_part, 2))
        elif dies_in == "marking":
            patched.setattr(recorded, "mark_altered", dying(recorded.mark_altered, 2))
        else:
            at = 1 if dies_in == "clean" else 3
            patched.setattr(recorded, "record", dying(recorded.record, at))
        with pytest.raises(KeyboardInterrupt):
            attack(run, ["noise-2", "noise-4"], **FEW)
    if dies_in == "marking":
        clean = next(x for x in (run / "recordings").iterdir() if "altered" not in x.name)
        assert set(altered_sets(recorded.record(run, out=clean, **CLEAN)).recordings) == {"noise-2"}
    attack(run, ["noise-2", "noise-4"], **FEW)
    for part in ("altered", "recordings"):
        assert snapshot(run / part) == snapshot(whole / part)


CLEAN = {"columns": recorded.COLUMNS, "progress": False}


@pytest.mark.parametrize(
    ("whats", "settings", "sentence"),
    [
        ([], {}, "Say what to do"),
        (["noise-2", "nonsense"], {}, "Unknown attack or benign control 'nonsense'"),
        ("fgsm", {}, "needs a number behind it"),
        (["noise-2"], {"device": "abacus"}, "cannot be used"),
    ],
)
def test_bad_input_is_told_before_anything_is_made(run, whats, settings, sentence):
    with pytest.raises(PathLensError, match=sentence) as caught:
        attack(run, whats, **FEW, **settings)
    assert "\n" not in str(caught.value)
    assert not (run / "recordings").exists()
    assert not (run / "altered").exists()


def test_a_plain_run_is_told(trained):
    with pytest.raises(PathLensError, match="plain network"):
        attack(trained / "plain", ["noise-2"], **FEW)


def test_images_altered_otherwise_are_not_recorded_in_place_of_the_first(run):
    attack(run, "noise-2", **FEW)
    before = snapshot(run / "recordings")
    with pytest.raises(PathLensError, match=r"altered otherwise .*seed"):
        attack(run, "noise-2", seed=3, **FEW)
    assert snapshot(run / "recordings") == before


def test_other_images_under_the_same_label_are_not_taken_for_those_recorded(run):
    made = attack(run, "noise-4", **FEW)["noise-4"]
    again = attack(run, "noise-4", **FEW)["noise-4"]
    assert again.hash == made.hash
    shutil.rmtree(run / "altered" / "noise-4")
    with pytest.raises(PathLensError, match="was recorded from other images"):
        attack(run, "noise-4", seed=1, **FEW)
    shutil.rmtree(made.folder)
    assert len(attack(run, "noise-4", seed=1, **FEW)["noise-4"]) == 12


def test_parts_recorded_of_other_images_before_a_kill_are_made_again(run, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(recorded, "mark_altered", killed)
        with pytest.raises(KeyboardInterrupt):
            attack(run, "noise-4", **FEW)
    shutil.rmtree(run / "altered" / "noise-4")
    found = attack(run, "noise-4", seed=1, images=list(_sources(run, "noise-4")), progress=False)
    fresh = recorded.record(
        run,
        run / "altered" / "noise-4",
        out=run / "fresh",
        columns=recorded.COLUMNS,
        progress=False,
    )
    np.testing.assert_array_equal(found["noise-4"].logits(), fresh.logits())
    assert found["noise-4"].hash == fresh.hash


def killed(*_):
    raise KeyboardInterrupt


def _sources(run, label):
    return open_recording(run / "recordings" / f"altered-{label}").images["source_image"]
