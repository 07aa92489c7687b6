import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ANALYSES = Path(__file__).parents[2] / "analyses"
UNPACK = """import sys
from pathlib import Path
here, target = Path(__file__).parent, Path(sys.argv[1])
for name in ("1.jpg", "2.jpg"):
    target.mkdir(parents=True, exist_ok=True)
    (target / name).touch()
    if (here / "interrupt").exists():
        raise SystemExit(9)
"""


@pytest.fixture
def shared_work(monkeypatch):
    monkeypatch.syspath_prepend(str(ANALYSES))
    return importlib.import_module("shared_work")


@pytest.fixture
def shared(tmp_path):
    """A folder of shared data whose unpacking can be interrupted after its first image."""
    folder = tmp_path / "shared" / "data" / "cifar10"
    folder.mkdir(parents=True)
    (folder / "unpack.py").write_text(UNPACK)
    return tmp_path / "shared"


def make_run(folder, weights):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint.pt").write_text(weights)
    (folder / "config.json").write_text('{"data": "cifar10"}')
    (folder / "result.json").write_text("{}")
    return folder


def test_an_unpacking_that_was_interrupted_is_not_taken_for_whole(shared_work, shared, tmp_path):
    interrupt = shared / "data" / "cifar10" / "interrupt"
    interrupt.touch()
    target = tmp_path / "work" / "cifar10"
    with pytest.raises(subprocess.CalledProcessError):
        shared_work.cifar10(target, shared)
    assert not target.exists()
    interrupt.unlink()
    assert shared_work.cifar10(target, shared) == target
    assert {path.name for path in target.iterdir()} == {"1.jpg", "2.jpg"}
    assert list(target.parent.iterdir()) == [target]


def test_images_that_are_there_are_not_unpacked_again(shared_work, shared, tmp_path):
    (tmp_path / "cifar10").mkdir()
    shared_work.cifar10(tmp_path / "cifar10", shared)
    assert not list((tmp_path / "cifar10").iterdir())


def test_a_run_is_copied_once_and_told_where_its_images_are(shared_work, tmp_path):
    source, target = make_run(tmp_path / "kept" / "net", "one"), tmp_path / "runs" / "net"
    run = shared_work.borrowed(source, target, Path("/images"))
    assert run.config["data"] == "/images"
    (target / "recordings").mkdir()
    assert shared_work.borrowed(source, target, Path("/images")) == run
    assert (target / "recordings").is_dir()
    assert '"cifar10"' in (source / "config.json").read_text()


def test_a_copy_is_made_anew_when_the_checkpoint_changes(shared_work, tmp_path):
    source, target = make_run(tmp_path / "kept" / "net", "one"), tmp_path / "runs" / "net"
    shared_work.borrowed(source, target)
    (target / "recordings").mkdir()
    make_run(source, "two")
    shared_work.borrowed(source, target)
    assert (target / "checkpoint.pt").read_text() == "two"
    assert not (target / "recordings").exists()


def test_a_copying_that_was_interrupted_is_not_taken_for_whole(shared_work, tmp_path, monkeypatch):
    source, target = make_run(tmp_path / "kept" / "net", "one"), tmp_path / "runs" / "net"
    copy = shutil.copy

    def interrupted(here, there):
        if here.name == "result.json":
            raise KeyboardInterrupt
        copy(here, there)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared_work.borrowed(source, target)
    assert not target.exists()
    assert shared_work.borrowed(source, target).finished


def test_the_run_of_somebody_else_is_neither_used_nor_removed(shared_work, tmp_path):
    source = make_run(tmp_path / "kept" / "net", "one")
    target = make_run(tmp_path / "runs" / "net", "another")
    with pytest.raises(SystemExit, match="no whole copy"):
        shared_work.borrowed(source, target)
    assert (target / "checkpoint.pt").read_text() == "another"


def test_a_copy_that_was_made_by_hand_is_taken_over(shared_work, tmp_path):
    source = make_run(tmp_path / "kept" / "net", "one")
    target = make_run(tmp_path / "runs" / "net", "one")
    shared_work.borrowed(source, target)
    make_run(source, "two")
    shared_work.borrowed(source, target)
    assert (target / "checkpoint.pt").read_text() == "two"


def test_a_table_is_whole_or_as_it_was(shared_work, tmp_path, monkeypatch):
    target = tmp_path / "table.csv"
    shared_work.write_table(pd.DataFrame({"a": [1]}), target)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="No space"):
        shared_work.write_table(pd.DataFrame({"a": range(9)}), target)
    assert target.read_text() == "a\n1\n"


def test_no_study_unpacks_or_borrows_by_itself():
    for script in (*ANALYSES.rglob("*.py"), *ANALYSES.rglob("*.sh")):
        if script.name == "shared_work.py":
            continue
        text = script.read_text("utf-8")
        assert "unpack.py" not in text, script
        assert "copytree" not in text, script


def test_a_road_that_fails_leaves_its_tables_as_they_were(tmp_path):
    folder = tmp_path / "analyses" / "road"
    shutil.copytree(ANALYSES / "road", folder)
    stub = tmp_path / "python"
    stub.write_text('#!/bin/sh\necho "$1"\ncase "$1" in *swaps.py) exit 3;; esac\n')
    stub.chmod(0o755)
    before = (folder / "path_swaps.csv").read_text()
    (tmp_path / "shared").mkdir()
    where = {**os.environ, "PYTHON": str(stub), "PATHLENS_SHARED": str(tmp_path / "shared")}
    call = ["bash", str(folder / "run.sh"), str(tmp_path / "work")]
    ended = subprocess.run(call, env=where, capture_output=True, text=True)
    assert ended.returncode == 3
    assert (folder / "runs.csv").read_text().strip().endswith("table.py")
    assert (folder / "path_swaps.csv").read_text() == before
    assert "shared_work.py" in ended.stdout
    assert sys.executable not in ended.stdout
