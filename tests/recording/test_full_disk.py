"""A disk that is really full."""

import subprocess

import pytest

from pathlens.errors import PathLensError
from pathlens.recording import RecordingWriter, open_recording

from .helpers import contents, make_sample


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 256 KiB in memory; only an administrator of Linux can have one."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs"]
    try:
        made = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no command mount")
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here ({made.stderr.strip()})")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_what_is_finished_and_room_lets_it_go_on(tmp_path, tiny_disk):
    sample = make_sample(images=20_000, part_size=4000, thumbnails=False)
    sample.write(tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    folder = tiny_disk / "r"
    with pytest.raises(PathLensError, match=r"No space left to write .*what was finished .*intact"):
        sample.write(folder)
    left = contents(folder)
    parts = sorted(name for name in left if name.startswith("part-"))
    assert 0 < len(parts) < 5
    assert all(left[name] == whole[name] for name in parts)
    assert set(left) == {*parts, "recording.partial.json"}
    with pytest.raises(PathLensError, match="unfinished recording"):
        open_recording(folder)
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny_disk)], check=True)
    with RecordingWriter(folder, sample.plan) as writer:
        assert len(writer.missing_parts()) == 5 - len(parts)
    sample.write(folder).verify()
    assert contents(folder) == whole
