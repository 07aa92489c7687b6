"""Runs and recordings: the newest, by name, by path, and the plain twin."""

import json
import os
import shutil

import pytest

from pathlens.errors import PathLensError
from pathlens.runs import (
    ALTERED,
    Run,
    all_runs,
    find_recording,
    find_run,
    plain_twin,
    recordings_of,
)

SAME = {"model": "m", "width": 1, "data": "d", "data_seed": 0, "limit": None, "view": {}}


def make(root, name, age, finished=True, **config):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**SAME, "plain": False, **config}))
    (folder / "checkpoint.pt").write_bytes(b"")
    os.utime(folder / "checkpoint.pt", (1000 - age, 1000 - age))
    if finished:
        (folder / "result.json").write_text("{}")
    return Run(folder)


def test_the_newest_run_is_first_and_plain_ones_can_be_passed_over(tmp_path):
    make(tmp_path, "old", age=30)
    make(tmp_path, "gated", age=20)
    make(tmp_path, "plain", age=10, plain=True)
    assert [run.name for run in all_runs(tmp_path)] == ["plain", "gated", "old"]
    assert find_run(root=tmp_path).name == "plain"
    assert find_run(root=tmp_path, with_paths=True).name == "gated"
    assert find_run("old", root=tmp_path).name == "old"
    assert find_run(tmp_path / "old", root=tmp_path / "elsewhere").name == "old"


def test_unknown_runs_and_none_at_all_are_said(tmp_path):
    with pytest.raises(PathLensError, match="There is no run under"):
        find_run(root=tmp_path)
    make(tmp_path, "resnet20-digits", age=0, plain=True)
    with pytest.raises(PathLensError, match="did you mean resnet20-digits"):
        find_run("resnet20-digit", root=tmp_path)
    with pytest.raises(PathLensError, match="no decoupled run"):
        find_run(root=tmp_path, with_paths=True)


def test_the_plain_twin_knows_the_same_images_and_was_trained_alike(tmp_path):
    run = make(tmp_path, "gated", age=0, start_from="teacher", epochs=2)
    assert plain_twin(run) is None
    make(tmp_path, "unfinished", age=1, plain=True, finished=False, epochs=2)
    make(tmp_path, "other-data", age=1, plain=True, data="e")
    assert plain_twin(run) is None
    make(tmp_path, "newer", age=1, plain=True, epochs=9)
    make(tmp_path, "teacher", age=5, plain=True, epochs=4)
    assert plain_twin(run).name == "teacher"
    make(tmp_path, "equal", age=9, plain=True, start_from="teacher", epochs=2)
    assert plain_twin(run).name == "equal"


def test_the_newest_recording_is_one_of_images_as_they_are(tmp_path):
    for name, stamp in (("first", 10), ("second", 20), ("altered-fgsm-8", 30)):
        folder = tmp_path / "run" / "recordings" / name
        folder.mkdir(parents=True)
        (folder / "recording.json").write_text("{}")
        os.utime(folder / "recording.json", (stamp, stamp))
    (folder / ALTERED).write_text("{}")
    assert find_recording(root=tmp_path).name == "second"
    assert [path.name for path in recordings_of(Run(tmp_path / "run"))] == ["second", "first"]
    assert find_recording(folder) == folder
    for name in ("first", "second"):
        shutil.rmtree(tmp_path / "run" / "recordings" / name)
    with pytest.raises(PathLensError, match="are of altered images"):
        find_recording(root=tmp_path)


def test_the_newest_finished_recording_is_taken(tmp_path):
    with pytest.raises(PathLensError, match="no finished recording"):
        find_recording(root=tmp_path)
    for name, stamp in (("a", 10), ("b", 20)):
        folder = tmp_path / "run" / "recordings" / name
        folder.mkdir(parents=True)
        (folder / "recording.json").write_text("{}")
        os.utime(folder / "recording.json", (stamp, stamp))
    assert find_recording(root=tmp_path).name == "b"
    with pytest.raises(PathLensError, match="no recording folder"):
        find_recording(tmp_path / "none")
