import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pathlens.errors import PathLensError
from pathlens.recording import PartRows, RecordingWriter, open_recording
from pathlens.recording.bits import pack
from pathlens.recording.parts import encode_part

from .helpers import contents, flip, make_sample

FORK = multiprocessing.get_context("fork")


def start(sample, folder, parts):
    """Write some parts and leave the recording unfinished."""
    with RecordingWriter(folder, sample.plan) as writer:
        for index in parts:
            writer.write_part(index, sample.rows(index))


@pytest.fixture
def whole(tmp_path):
    """The files of an uninterrupted recording."""
    make_sample(broken=(8,)).write(tmp_path / "whole")
    return contents(tmp_path / "whole")


def test_equal_recordings_have_equal_bytes(tmp_path, whole):
    make_sample(broken=(8,)).write(tmp_path / "again")
    assert contents(tmp_path / "again") == whole
    expected = {"recording.json", "skipped.csv"}
    expected |= {f"{kind}-{i:05d}.parquet" for kind in ("part", "thumbnails") for i in range(4)}
    assert set(whole) == expected


def test_an_interrupted_recording_goes_on(tmp_path, whole):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    start(sample, folder, [2, 0])
    message = r"unfinished recording, 2 of 4 parts.*`pathlens record`"
    with pytest.raises(PathLensError, match=message):
        open_recording(folder)
    with RecordingWriter(folder, sample.plan) as writer:
        assert writer.missing_parts() == [1, 3]
        assert not writer.finished
        with pytest.raises(PathLensError, match=r"lacks 2 of 4 parts.*part-00001"):
            writer.finish()
    sample.write(folder)
    assert contents(folder) == whole


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit_in_the_pages(path):
    flip(path, path.read_bytes().index(b"test/"))


def from_another_checkpoint(path):
    folder = path.parent.parent / "foreign"
    make_sample(broken=(8,), checkpoint="b" * 64).write(folder)
    path.write_bytes((folder / path.name).read_bytes())


def take_another_part(path):
    path.write_bytes(path.with_name(path.name.replace("1", "2")).read_bytes())


SPOILERS = [
    truncate,
    from_another_checkpoint,
    take_another_part,
    Path.unlink,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"PAR1" * 30),
]


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize("kind", ["part", "thumbnails"])
@pytest.mark.parametrize("finished", [False, True])
def test_only_what_is_broken_is_made_again(tmp_path, whole, spoil, kind, finished):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    start(sample, folder, range(4))
    if finished:
        sample.write(folder)
    spoil(folder / f"{kind}-00001.parquet")
    with RecordingWriter(folder, sample.plan) as writer:
        assert writer.missing_parts() == [1]
        assert not writer.finished
    sample.write(folder).verify()
    assert contents(folder) == whole


@pytest.mark.parametrize("finished", [False, True])
def test_a_flipped_bit_is_found_before_it_is_hashed(tmp_path, whole, finished):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    start(sample, folder, range(4))
    if finished:
        sample.write(folder)
    # Uncompressed, so that the text can be found; the pages of a part are compressed.
    flip_a_bit_in_the_pages(folder / "thumbnails-00002.parquet")
    with RecordingWriter(folder, sample.plan) as writer:
        assert writer.missing_parts() == [2]
    sample.write(folder)
    assert contents(folder) == whole


def test_a_finished_recording_says_so_and_stays(tmp_path, whole):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    sample.write(folder)
    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with RecordingWriter(folder, sample.plan) as writer:
        assert writer.finished
        assert writer.missing_parts() == []
        assert len(writer.finish()) == 24
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps


def test_a_repair_that_comes_out_differently_is_refused(tmp_path, whole):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    sample.write(folder)
    (folder / "part-00003.parquet").unlink()
    rows = sample.rows(3)
    rows.bits["last"][0] ^= True
    with (
        RecordingWriter(folder, sample.plan) as writer,
        pytest.raises(PathLensError, match=r"part-00003\.parquet .*did not come out.*--out"),
    ):
        writer.write_part(3, rows)
    assert not (folder / "part-00003.parquet").exists()


@pytest.mark.parametrize("name", ["skipped.csv", "recording.json"])
@pytest.mark.parametrize("spoil", [truncate, Path.unlink])
def test_the_small_files_are_made_again(tmp_path, whole, name, spoil):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    sample.write(folder)
    spoil(folder / name)
    with pytest.raises(PathLensError):
        open_recording(folder)
    with RecordingWriter(folder, sample.plan) as writer:
        assert not writer.finished
        assert writer.missing_parts() == []
        writer.finish()
    assert contents(folder) == whole


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"checkpoint": "b" * 64}, "another checkpoint: give another --out"),
        ({"seed": 1}, "another dataset, split, limit or seed and other images or labels"),
        ({"part_size": 8}, "another part size"),
        ({"images": 26}, "another number of images and other images or labels"),
        ({"thumbnails": False}, "another choice of thumbnails"),
    ],
)
def test_another_plan_is_refused(tmp_path, change, words, finished):
    sample, folder = make_sample(), tmp_path / "r"
    start(sample, folder, [0])
    if finished:
        sample.write(folder)
    before = contents(folder)
    with pytest.raises(PathLensError, match=words):
        RecordingWriter(folder, make_sample(**change).plan)
    assert contents(folder) == before


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(PathLensError, match="is not empty and holds no recording"):
        RecordingWriter(tmp_path, make_sample().plan)
    assert contents(tmp_path) == {"thesis.txt": b"years"}
    with pytest.raises(PathLensError, match="is not a folder"):
        RecordingWriter(tmp_path / "thesis.txt", make_sample().plan)
    with pytest.raises(PathLensError, match="is not a folder"):
        RecordingWriter(tmp_path / "thesis.txt" / "r", make_sample().plan)


def test_a_newer_recording_is_refused(tmp_path):
    text = '{"format": "pathlens-recording", "format_version": 2}'
    (tmp_path / "recording.partial.json").write_text(text)
    for use in (open_recording, lambda folder: RecordingWriter(folder, make_sample().plan)):
        with pytest.raises(PathLensError, match="newer PathLens"):
            use(tmp_path)


def test_a_second_process_is_refused(tmp_path):
    sample, folder = make_sample(), tmp_path / "r"
    code = (
        "import sys; from recording.helpers import *; s = make_sample();"
        f"w = RecordingWriter({str(folder)!r}, s.plan); print('locked', flush=True);"
        "sys.stdin.read()"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    holder = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(PathLensError, match=r"Another process is writing .*--out"):
            RecordingWriter(folder, sample.plan)
    finally:
        holder.kill()
        holder.communicate()
    assert len(sample.write(folder)) == 25
    assert not (folder / "recording.lock").exists()


def test_a_child_does_not_keep_the_lock_of_a_dead_parent(tmp_path):
    sample = make_sample()
    reader, writer = os.pipe()
    if os.fork() == 0:
        RecordingWriter(tmp_path / "r", sample.plan)
        child = os.fork()
        if child == 0:
            os.write(writer, f"{os.getpid()}\n".encode())
            time.sleep(30)
            os._exit(0)
        time.sleep(30)
        os._exit(0)
    grandchild = int(os.read(reader, 20))
    parent = int(Path(f"/proc/{grandchild}/stat").read_text().split()[3])
    try:
        with pytest.raises(PathLensError, match="Another process"):
            RecordingWriter(tmp_path / "r", sample.plan)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        os.kill(grandchild, 0)
        RecordingWriter(tmp_path / "r", sample.plan).close()
    finally:
        os.kill(grandchild, signal.SIGKILL)
        os.close(reader)
        os.close(writer)


def test_a_file_size_limit_leaves_what_is_finished(tmp_path):
    """A real refusal by the operating system, in a process of its own."""
    sample, folder = make_sample(images=3000, part_size=1500, thumbnails=False), tmp_path / "r"
    start(sample, folder, [0])
    before = (folder / "part-00000.parquet").read_bytes()

    def limited():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        try:
            sample.write(folder)
        except PathLensError as error:
            os._exit(7 if "No space left to write" in str(error) else 8)
        os._exit(9)

    process = FORK.Process(target=limited)
    process.start()
    process.join()
    assert process.exitcode == 7
    names = {"part-00000.parquet", "recording.partial.json"}
    assert set(contents(folder)) == names
    assert (folder / "part-00000.parquet").read_bytes() == before
    sample.write(folder).verify()


@pytest.mark.parametrize("name", ["part-00002", "thumbnails-00001", "skipped", "recording.json"])
def test_a_full_disk_at_any_file(tmp_path, whole, monkeypatch, name):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    flush = os.fsync

    def full(handle):
        if name in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(28, "No space left on device")
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PathLensError, match=f"No space left to write .*{name}.*run the same"):
        sample.write(folder)
    assert not list(folder.glob("*.parquet.partial"))
    assert not (folder / "recording.json").exists()
    monkeypatch.undo()
    sample.write(folder)
    assert contents(folder) == whole


def test_leftovers_of_a_killed_writer_are_swept(tmp_path, whole):
    sample, folder = make_sample(broken=(8,)), tmp_path / "r"
    folder.mkdir()
    (folder / "recording.partial.json.partial").write_text("{")
    (folder / "recording.lock").touch()
    start(sample, folder, [0])
    (folder / "part-00001.parquet.partial").write_bytes(b"half")
    (folder / "recording.partial.json").write_text("{")
    sample.write(folder)
    assert contents(folder) == whole


def test_rows_that_are_not_the_planned_ones_are_refused(tmp_path):
    sample = make_sample()
    good = sample.rows(0)
    one_less = {**good.bits, "last": good.bits["last"][:-1]}
    without = {name: bits for name, bits in good.bits.items() if name != "last"}
    floats = {**good.bits, "last": good.bits["last"].astype(float)}
    empty = good.images.assign(label=np.nan)
    wrong = [
        (PartRows(good.images, one_less, good.thumbnails), "bits of last"),
        (PartRows(good.images, without, good.thumbnails), "bits of last"),
        (PartRows(good.images, floats, good.thumbnails), "must be bool"),
        (PartRows(good.images, good.bits, None), "thumbnails"),
        (PartRows(good.images, good.bits, good.thumbnails[:-1]), "one thumbnail a row"),
        (PartRows(good.images, good.bits, good.thumbnails, [("x", "y")]), "holds 7 images"),
        (PartRows(good.images.drop(columns="label"), good.bits, good.thumbnails), "columns"),
        (PartRows(empty, good.bits, good.thumbnails), "empty values"),
    ]
    with RecordingWriter(tmp_path / "r", sample.plan) as writer:
        for rows, words in wrong:
            with pytest.raises(ValueError, match=words):
                writer.write_part(0, rows)
        assert writer.missing_parts() == [0, 1, 2, 3]


def test_packed_bits_make_the_same_file_and_must_fit(tmp_path):
    sample = make_sample()
    rows = sample.rows(0)
    packed = replace(rows, bits={name: pack(bits) for name, bits in rows.bits.items()})
    assert encode_part(sample.plan, 0, packed) == encode_part(sample.plan, 0, rows)
    wrong = replace(packed, bits={**packed.bits, "last": packed.bits["features.3"]})
    with pytest.raises(ValueError, match=r"bits of last: \(7, 2\) instead of \(7, 1\)"):
        encode_part(sample.plan, 0, wrong)
    wrong = replace(packed, bits={**packed.bits, "last": packed.bits["last"] | 2})
    with pytest.raises(ValueError, match="bits of last: padding"):
        encode_part(sample.plan, 0, wrong)
