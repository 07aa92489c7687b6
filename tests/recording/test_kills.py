"""SIGKILL at any moment loses nothing: the study of analyses/recording, with fewer kills."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "analyses" / "recording" / "kills.py"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_a_killed_command_comes_to_the_same_bytes(tmp_path, seed):
    """Real `pathlens record` processes, killed at moments drawn from the seed over the whole run."""
    done = subprocess.run(
        [sys.executable, str(STUDY), "--kills", "20", "--seed", str(seed)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert found["kills"] >= 20
    assert found["kills"] > found["before_the_first_part"] + found["after_the_manifest"]
    assert (found["files_that_differ"], found["rows_lost"], found["rows_wrong"]) == (0, 0, 0)


def test_the_study_sees_a_lost_and_a_wrong_row(tmp_path, monkeypatch):
    """Its judge is not blind."""
    from .helpers import make_sample

    monkeypatch.syspath_prepend(str(STUDY.parent))
    judge = pytest.importorskip("kills").judge
    make_sample().write(tmp_path / "whole")
    make_sample().write(tmp_path / "equal")
    lost = make_sample(broken=(3, 20))
    lost.bits["last"][9] ^= True
    lost.write(tmp_path / "lost")
    verdict = judge(tmp_path / "equal", tmp_path / "whole")
    assert (verdict.files, verdict.lost, verdict.wrong) == (0, 0, 0)
    verdict = judge(tmp_path / "lost", tmp_path / "whole")
    assert (verdict.lost, verdict.wrong) == (2, 1)
    assert verdict.files >= 3
