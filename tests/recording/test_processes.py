"""Real processes that record together: torchrun's, and independent shards."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from pathlens.cli.merge import merge as merge_command
from pathlens.cli.record import record as record_command
from pathlens.errors import PathLensError
from pathlens.recorder import record
from pathlens.recorder.processes import Place
from pathlens.recording.shards import OtherShardsMissingError

from .helpers import contents

ASKED = ["gated", "--limit", "70", "--part-size", "12", "--batch-size", "5"]
SETTINGS = {"limit": 70, "part_size": 12, "batch_size": 5, "progress": False}


FRESH = multiprocessing.get_context("spawn")
"""Processes that import for themselves: forked from one that has used threads, torch can hang, and a fork
server has the environment of whoever started it first."""


def record_shard(folder, shard):
    record("gated", out=folder, shard=shard, **SETTINGS)


def record_one_part(folder, shard):
    """Record the first part of a shard and stop there: neither finished nor dead."""
    from pathlens.recorder.parts import PartRecorder

    original = PartRecorder.part

    def stopping(self, plan, index, progress):
        if list(folder.glob("part-*.parquet")):
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(self, plan, index, progress)

    PartRecorder.part = stopping
    record_shard(folder, shard)


@pytest.fixture(autouse=True)
def runs(trained, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(trained))
    # The last digits of a sum can depend on the number of threads, and torchrun gives each one.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    """The bytes that a single process writes."""
    import torch

    folder = tmp_path_factory.mktemp("single") / "r"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    record(trained / "gated", out=folder, **SETTINGS)
    torch.set_num_threads(threads)
    return contents(folder)


@pytest.mark.slow
def test_two_processes_of_torchrun(tmp_path, whole):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"),
            *("--master_port=0", "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"),
            *("-m", "--", "pathlens", "record", *ASKED, "--out", "r"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("70 images recorded in r") == 1
    assert contents(tmp_path / "r") == whole


@pytest.mark.slow
def test_a_killed_shard_is_run_again_alone(tmp_path, whole):
    folder = tmp_path / "r"
    victim = FRESH.Process(target=record_one_part, args=(folder, "2/3"))
    victim.start()
    while not list(folder.glob("part-*.parquet")):
        assert victim.is_alive()
        time.sleep(0.001)
    with pytest.raises(OtherShardsMissingError, match="Shard 1/3 is finished"):
        record("gated", out=folder, shard="1/3", **SETTINGS)
    with pytest.raises(PathLensError, match="Another process is writing"):
        record("gated", out=folder, shard="2/3", **SETTINGS)
    victim.kill()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    with pytest.raises(
        OtherShardsMissingError, match=r"Shard 3/3 is finished.*lacks \d of 6 parts"
    ):
        record("gated", out=folder, shard="3/3", **SETTINGS)
    assert len(record("gated", out=folder, shard="2/3", **SETTINGS)) == 70
    assert contents(folder) == whole


def test_shards_in_folders_of_their_own_are_merged(tmp_path, whole, capsys):
    places = [tmp_path / str(number) for number in (1, 2, 3)]
    for number, place in enumerate(places, 1):
        with pytest.raises(OtherShardsMissingError):
            record("gated", out=place, shard=f"{number}/3", **SETTINGS)
    merge_command(places, tmp_path / "joined")
    assert "is finished: 70 images" in capsys.readouterr().out
    assert contents(tmp_path / "joined") == whole


def test_the_place_of_a_process(monkeypatch):
    assert Place.find(None, "cuda") == Place(Place.find("1/1", "cuda").shard, "cuda")
    for name, value in {
        "WORLD_SIZE": "4",
        "RANK": "2",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "x",
    }.items():
        monkeypatch.setenv(name, value)
    place = Place.find(None, "cuda")
    assert (str(place.shard), place.device, place.leads, place.together) == (
        "3/4",
        "cuda:0",
        False,
        True,
    )
    asked = Place.find("2/5", "cuda")
    assert (str(asked.shard), asked.device, asked.leads, asked.together) == (
        "2/5",
        "cuda",
        True,
        False,
    )


def test_what_all_processes_meet_is_told_by_the_first(monkeypatch):
    import pathlens.recorder.processes as module

    waited = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    for leads in (True, False):
        with (
            pytest.raises(PathLensError),
            Place(Place.find("1/1", "cpu").shard, "cpu", leads).speaking_for_all(),
        ):
            raise PathLensError("no")
    assert len(waited) == 1


def test_the_command_says_that_a_shard_is_finished_and_succeeds(tmp_path, capsys):
    record_command("gated", limit=70, part_size=12, out=tmp_path / "r", shard="1/2")
    shown = capsys.readouterr().out
    assert f"Shard 1/2 is finished, and {tmp_path / 'r'} still lacks 3 of 6 parts" in shown
