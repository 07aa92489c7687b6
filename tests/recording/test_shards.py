"""Shards: several processes, one recording, the same bytes."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from pathlens.errors import PathLensError
from pathlens.recording import RecordingWriter, merge, open_recording
from pathlens.recording.shards import OtherShardsMissingError, Shard

from .helpers import contents, flip, make_sample

FORK = multiprocessing.get_context("fork")


def write_shard(sample, folder, text, pause=0.0):
    """Write the missing parts of a shard; the recording if it was the last one, else None."""
    with RecordingWriter(folder, sample.plan, Shard.parse(text)) as writer:
        for index in writer.missing_parts():
            time.sleep(pause)
            writer.write_part(index, sample.rows(index))
        try:
            return writer.finish()
        except OtherShardsMissingError:
            return None


def write_all_but_the_last_part(sample, folder, text):
    """Write a shard and never come to its end, so that whenever it is killed it is alive."""
    with RecordingWriter(folder, sample.plan, Shard.parse(text)) as writer:
        for index in writer.missing_parts()[:-1]:
            writer.write_part(index, sample.rows(index))
            time.sleep(0.02)
        signal.pause()


@pytest.fixture
def sample():
    return make_sample(images=58, part_size=5, broken=(8, 31))  # 12 parts


@pytest.fixture
def whole(tmp_path, sample):
    sample.write(tmp_path / "whole")
    return contents(tmp_path / "whole")


def test_shards_are_disjoint_ranges_that_leave_nothing_out():
    for parts in range(1, 40):
        for count in range(1, 20):
            ranges = [Shard(number, count).parts(parts) for number in range(1, count + 1)]
            assert [index for part in ranges for index in part] == list(range(parts))
            assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_a_shard_that_does_not_exist(text):
    with pytest.raises(PathLensError, match=r"no shard .*as in 3/16"):
        Shard.parse(text)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards_in_one_folder_make_the_same_bytes_in_any_order(tmp_path, sample, whole, order):
    folder = tmp_path / "r"
    for number in order[:-1]:
        assert write_shard(sample, folder, f"{number}/3") is None
        with pytest.raises(PathLensError, match=r"unfinished recording, \d of 12 parts"):
            open_recording(folder)
    recording = write_shard(sample, folder, f"{order[-1]}/3")
    recording.verify()
    assert len(recording) == 56
    assert contents(folder) == whole


def test_more_shards_than_parts(tmp_path, sample, whole):
    found = [write_shard(sample, tmp_path / "r", f"{k}/15") for k in range(1, 16)]
    assert found[-1] is not None
    assert contents(tmp_path / "r") == whole


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shards_at_the_same_time(tmp_path, sample, whole, seed):
    """Real processes that start together; whoever is last lists the parts."""
    rng = np.random.default_rng(seed)
    pauses = rng.random(4) * 0.02
    processes = [
        FORK.Process(target=write_shard, args=(sample, tmp_path / "r", f"{k + 1}/4", pauses[k]))
        for k in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert contents(tmp_path / "r") == whole


@pytest.mark.parametrize("seed", [0, 1])
def test_a_dead_shard_is_run_again_alone(tmp_path, sample, whole, seed):
    folder = tmp_path / "r"
    write_shard(sample, folder, "1/3")
    process = FORK.Process(target=write_all_but_the_last_part, args=(sample, folder, "2/3"))
    process.start()
    while not (folder / "part-00004.parquet").exists():
        assert process.is_alive()
        time.sleep(0.001)
    time.sleep(np.random.default_rng(seed).random() * 0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert write_shard(sample, folder, "3/3") is None
    # A killed process may leave thumbnails without their part, which are written again.
    finished = [path.name[len("part") :] for path in folder.glob("part-*.parquet")]
    names = [kind + number for number in finished for kind in ("part", "thumbnails")]
    stamps = {name: (folder / name).stat().st_mtime_ns for name in names}
    assert len(stamps) < 24
    assert write_shard(sample, folder, "2/3") is not None
    assert contents(folder) == whole
    assert {name: (folder / name).stat().st_mtime_ns for name in stamps} == stamps


def test_the_whole_can_finish_what_shards_have_begun(tmp_path, sample, whole):
    write_shard(sample, tmp_path / "r", "2/3")
    (tmp_path / "r" / "recording.shard-1-of-3.lock").touch()  # of a process that was killed
    sample.write(tmp_path / "r")
    assert contents(tmp_path / "r") == whole


def test_who_would_write_the_same_parts_is_refused(tmp_path, sample):
    folder = tmp_path / "r"
    with RecordingWriter(folder, sample.plan, Shard(1, 2)):
        RecordingWriter(folder, sample.plan, Shard(2, 2)).close()
        RecordingWriter(folder, sample.plan, Shard(3, 3)).close()
        for shard in (Shard(1, 2), Shard(1, 3), Shard(2, 3), Shard()):
            with pytest.raises(PathLensError, match=r"Another process is writing .*--out"):
                RecordingWriter(folder, sample.plan, shard)
    with (
        RecordingWriter(folder, sample.plan),
        pytest.raises(PathLensError, match="Another process is writing"),
    ):
        RecordingWriter(folder, sample.plan, Shard(1, 2))
    assert not list(folder.glob("*.lock"))


def test_a_damaged_part_of_another_shard_is_left_to_it(tmp_path, sample, whole):
    folder = tmp_path / "r"
    write_shard(sample, folder, "1/2")
    flip(folder / "thumbnails-00001.parquet", 40)
    with RecordingWriter(folder, sample.plan, Shard(2, 2)) as writer:
        for index in writer.missing_parts():
            writer.write_part(index, sample.rows(index))
        with pytest.raises(OtherShardsMissingError, match=r"lacks 1 of 12 parts.*part-00001"):
            writer.finish()
    assert write_shard(sample, folder, "1/2") is not None
    assert contents(folder) == whole


def test_a_shard_of_a_finished_recording_repairs_its_own_parts(tmp_path, sample, whole):
    folder = tmp_path / "r"
    sample.write(folder)
    for index in (1, 11):
        (folder / f"part-{index:05d}.parquet").unlink()
    assert write_shard(sample, folder, "2/2") is None
    assert (folder / "part-00011.parquet").exists()
    assert write_shard(sample, folder, "1/2") is not None
    assert contents(folder) == whole


def test_merging_folders(tmp_path, sample, whole):
    places = [tmp_path / name for name in "abc"]
    for number, place in enumerate(places, 1):
        assert write_shard(sample, place, f"{number}/3") is None
    (places[1] / "concepts.csv").write_text("image,concept,value\nx,red,1\n")
    before = [contents(place) for place in places]
    merge(places, tmp_path / "joined").verify()
    found = contents(tmp_path / "joined")
    assert found.pop("concepts.csv") == before[1]["concepts.csv"]
    assert found == whole
    assert [contents(place) for place in places] == before


def test_merging_into_the_first_folder_goes_on_where_it_stopped(tmp_path, sample, whole):
    for number, place in enumerate("ab", 1):
        write_shard(sample, tmp_path / place, f"{number}/2")
    for name in ("thumbnails-00007.parquet", "part-00007.parquet"):
        (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    merge([tmp_path / "a", tmp_path / "b"])
    assert contents(tmp_path / "a") == whole
    merge([tmp_path / "a", tmp_path / "b"])
    assert contents(tmp_path / "a") == whole


def test_merging_one_shared_folder_in_which_nobody_has_finished(tmp_path, sample, whole):
    with RecordingWriter(tmp_path / "r", sample.plan) as writer:
        for index in writer.missing_parts():
            writer.write_part(index, sample.rows(index))
    merge([tmp_path / "r"])
    assert contents(tmp_path / "r") == whole


def other_checkpoint(folder, sample):
    write_shard(make_sample(images=58, part_size=5, checkpoint="b" * 64), folder, "2/2")


def other_version(folder, sample):
    """The same plan, and parts that came out differently: 5 of them stand in both folders."""
    sample.bits["last"] ^= True
    write_shard(sample, folder, "1/1")


def one_part_short(folder, sample):
    write_shard(sample, folder, "2/2")
    (folder / "part-00009.parquet").unlink()


def one_part_flipped(folder, sample):
    write_shard(sample, folder, "2/2")
    flip(folder / "thumbnails-00009.parquet", 40)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_checkpoint, "another checkpoint than .*only shards of one recording"),
        (other_version, "both hold part-00000.parquet, and not the same one"),
        (one_part_short, "1 of 12 parts are in none .*part-00009"),
        (one_part_flipped, "1 of 12 parts are in none .*part-00009"),
        (lambda folder, _: folder.mkdir(), "holds no shard of a recording"),
    ],
)
def test_what_cannot_be_merged_is_refused_in_one_sentence(tmp_path, sample, spoil, words):
    write_shard(sample, tmp_path / "a", "1/2")
    spoil(tmp_path / "b", sample)
    with pytest.raises(PathLensError, match=words):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_nothing_to_merge():
    with pytest.raises(PathLensError, match="nothing to merge"):
        merge([])
