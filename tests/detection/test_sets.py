from __future__ import annotations

import json
import shutil

import pytest

from pathlens.detection.sets import (
    ABOUT,
    altered_sets,
    is_altered,
    mark_altered,
    require_clean,
)
from pathlens.errors import PathLensError
from pathlens.recording import open_recording
from tests.detection.evaluation_world import altered_recording, clean_recording
from tests.detection.recorded_world import write_world, written


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write_world(root, 40)
    return root


@pytest.fixture
def place(world, tmp_path):
    return shutil.copytree(world, tmp_path / "recordings")


def clean(place):
    return open_recording(place / "clean")


def test_those_beside_are_found_and_told_apart(place):
    found = altered_sets(clean(place))
    assert list(found.recordings) == ["fgsm-8", "noise-8"]
    assert found.benign == {"noise-8"}
    assert [one.folder.name for one in found.attacks] == ["altered-fgsm-8"]


def test_only_finished_recordings_of_the_same_checkpoint_are_taken(place):
    given = altered_recording(clean_recording(40), "pgd", 1.0)
    other = written(place / "other", given, "def")
    mark_altered(other, {"label": "pgd", "kind": "attack"})
    written(place / "unmarked", given)
    (place / "begun").mkdir()
    shutil.copy(place / "altered-fgsm-8" / ABOUT, place / "begun")
    assert set(altered_sets(clean(place)).recordings) == {"fgsm-8", "noise-8"}


def test_those_named_are_taken_wherever_they_are(place, tmp_path):
    far = shutil.move(place / "altered-fgsm-8", tmp_path / "far")
    assert set(altered_sets(clean(place)).recordings) == {"noise-8"}
    assert set(altered_sets(clean(place), [far]).recordings) == {"fgsm-8"}


def test_none_is_told_with_what_makes_some(place):
    for name in ("altered-fgsm-8", "altered-noise-8"):
        shutil.rmtree(place / name)
    with pytest.raises(PathLensError, match="pathlens detect attack"):
        altered_sets(clean(place))


def test_two_of_one_label_are_told(place):
    shutil.copytree(place / "altered-fgsm-8", place / "again")
    with pytest.raises(PathLensError, match="both called 'fgsm-8'"):
        altered_sets(clean(place))


def test_a_recording_that_does_not_say_what_it_is_is_told(place):
    with pytest.raises(PathLensError, match="does not say what was done"):
        altered_sets(clean(place), [place / "clean"])


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "odd"},
        {"kind": None},
        {"label": ""},
        {"label": None},
        {"recording": "0" * 64},
    ],
)
def test_damaged_marks_are_told(place, change):
    path = place / "altered-fgsm-8" / ABOUT
    about = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not None}))
    with pytest.raises(PathLensError, match=r"damaged|another recording"):
        altered_sets(clean(place))


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_marks_that_are_no_json_object_are_told(place, content):
    (place / "altered-fgsm-8" / ABOUT).write_text(content)
    with pytest.raises(PathLensError) as caught:
        altered_sets(clean(place))
    assert "\n" not in str(caught.value)


def test_a_mark_keeps_what_it_is_told_and_is_no_part_of_the_recording(place):
    recording = clean(place)
    assert not is_altered(recording.folder)
    require_clean(recording)
    mark_altered(recording, {"label": "x", "kind": "attack", "settings": {"steps": 3}})
    assert json.loads((place / "clean" / ABOUT).read_text())["settings"] == {"steps": 3}
    recording.verify()
    with pytest.raises(PathLensError, match="holds altered images"):
        require_clean(recording)


def test_an_altered_recording_without_its_mark_is_known_by_its_images(place):
    (place / "altered-noise-8" / ABOUT).unlink()
    with pytest.raises(PathLensError, match="holds altered images"):
        require_clean(open_recording(place / "altered-noise-8"))
