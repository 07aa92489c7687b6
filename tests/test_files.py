"""Files that are whole or not there."""

import errno
import hashlib
from pathlib import Path

import pytest

from pathlens.errors import PathLensError
from pathlens.files import file_hash, read_json, write_bytes, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_beside(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    write_json(target, {"x": 1})

    def full(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PathLensError, match="No space left to write"):
        write_json(target, {"x": 2})
    assert read_json(target) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_said(tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PathLensError, match="Not allowed to write"):
        write_bytes(tmp_path / "a", b"x")


def test_damaged_and_missing_json_are_said(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(PathLensError, match="damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(PathLensError, match="There is no file"):
        read_json(tmp_path / "b.json")


def test_file_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
