"""The command line as a user meets it: real processes, one sentence for bad input, no traceback."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pathlens(tmp_path, trained):
    """Run `pathlens ...` in an empty folder that knows the trained runs."""

    def run(*arguments, runs=trained, **extra):
        return subprocess.run(
            [sys.executable, "-m", "pathlens", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PATHLENS_RUNS": str(runs), "PYTHONWARNINGS": "error::UserWarning"},
            capture_output=True,
            text=True,
            timeout=300,
            **extra,
        )

    return run


def test_help_names_all_commands_and_loads_nothing_heavy(pathlens):
    shown = pathlens("--help")
    for command in (
        "train",
        "layers",
        "record",
        "verify",
        "probe",
        "report",
        "explain",
        "associate",
        "compare",
        "demo",
    ):
        assert command in shown.stdout
    heavy = "import sys; sys.argv = ['pathlens', '--help']\ntry:\n import pathlens.__main__\nexcept SystemExit: pass\n"
    heavy += "print([m for m in ('torch', 'pandas', 'matplotlib', 'sklearn', 'umap') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True)
    assert found.stdout.strip().endswith("[]")


def test_the_analysis_side_works_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['torchvision'] = None\n"
        "import pathlens, pathlens.analysis, pathlens.recording, pathlens.reporting\n"
        "pathlens.open_recording, pathlens.report\n"
        "pathlens.analysis.filter_states, pathlens.analysis.associating.associations\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_layers_lists_what_is_gated_and_what_is_not(pathlens):
    shown = pathlens("layers")
    assert shown.returncode == 0, shown.stderr
    assert "Run gated (the newest)." in shown.stdout
    lines = shown.stdout.splitlines()
    row = next(line for line in lines if "stage1.0.0" in line).split()
    assert row[:4] == ["1", "stage1.0.0", "16", "12"]
    assert any("stem.0" in line and "the first convolution" in line for line in lines)


def test_record_verify_report_with_one_layer(pathlens, tmp_path):
    recorded = pathlens("record", "--out", "rec", "--limit", 60)
    assert recorded.returncode == 0, recorded.stderr
    again = pathlens("record", "--out", "rec", "--limit", 60)
    assert again.returncode == 0
    assert "finished already" in again.stdout
    assert "is whole: 60 images" in pathlens("verify", "rec").stdout
    page = pathlens("report", "rec", "--layer", 2, "--layer", "stage3.*.0", "--out", "page")
    assert page.returncode == 0, page.stderr
    assert (tmp_path / "page" / "index.html").stat().st_size > 20_000
    assert "Page:" in page.stdout
    content = bytearray((tmp_path / "rec" / "part-00000.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "rec" / "part-00000.parquet").write_bytes(content)
    broken = pathlens("verify", "rec")
    assert broken.returncode == 1
    assert "part-00000.parquet" in broken.stderr


def write_classes(folder, classes, broken=False):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(4):
            path = folder / name / f"{i}.png"
            Image.fromarray(np.full((16, 16, 3), 60 * i, dtype=np.uint8)).save(path)
            if broken:
                path.write_bytes(b"not an image")
    return folder


def bad_input(tmp_path):
    (tmp_path / "empty").mkdir()
    write_classes(tmp_path / "one", ["only"])
    write_classes(tmp_path / "broken", ["a", "b"], broken=True)
    (tmp_path / "corrupt.pt").write_bytes(b"\0" * 100)
    (tmp_path / "concepts.csv").write_text("image,concept\nno/such.png,red\n")
    (tmp_path / "own.py").write_text("import torch\ndef one_conv(classes):\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), "
        "torch.nn.Flatten(), torch.nn.Linear(4, classes))\n"
        "def grey(classes):\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 4, 3))\n")  # fmt: skip


CASES = {
    "unknown model": (["train", "resnet21", "--data", "digits"], "resnet20"),
    "unknown data": (["train", "resnet20", "--data", "didgits"], "did you mean digits"),
    "missing weights": (["train", "resnet20", "--data", "digits", "--weights", "no.pt"], "is not there"),
    "corrupt weights": (
        ["train", "resnet20", "--data", "digits", "--weights", "corrupt.pt"],
        "cannot be read as weights",
    ),
    "empty folder": (["train", "resnet20", "--data", "empty"], "empty"),
    "one class": (["train", "resnet20", "--data", "one"], "class"),
    "unreadable images": (["train", "resnet20", "--data", "broken"], "No training image"),
    "no second convolution": (["train", "own:one_conv", "--data", "digits"], "no convolution that can be gated"),
    "wrong channels": (["train", "own:grey", "--data", "digits"], "does not run on an input of shape"),
    "image too small": (["train", "vgg16", "--data", "digits", "--image-size", "16"], "does not run on an input"),
    "unknown run": (["record", "gatd"], "did you mean gated"),
    "plain run": (["record", "plain"], "plain network"),
    "unknown layer": (["report", "REC", "--layer", "stage9"], "Unknown layer 'stage9'"),
    "layer out of range": (["report", "REC", "--layer", "99"], "numbered from 1 to 6"),
    "no recording": (["report", "nowhere"], "no recording folder"),
    "not a recording": (["verify", "empty"], "no recording"),
    "concepts that match nothing": (["report", "REC", "--concepts", "concepts.csv"], "no/such.png"),
    "missing concept file": (["report", "REC", "--concepts", "no.csv"], "no.csv"),
}  # fmt: skip


@pytest.fixture(scope="module")
def recorded(trained, tmp_path_factory):
    from pathlens.recorder import record

    folder = tmp_path_factory.mktemp("recorded") / "rec"
    record(trained / "gated", "digits", limit=40, out=folder, progress=False)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_no_traceback(pathlens, tmp_path, trained, recorded, case):
    bad_input(tmp_path)
    arguments, message = CASES[case]
    runs = tmp_path / "runs" if arguments[0] == "train" else trained
    done = pathlens(*[recorded if a == "REC" else a for a in arguments], runs=runs)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("pathlens: ")]
    assert len(said) == 1
    assert not list((tmp_path / "runs").glob("*/result.json"))


def test_wrong_usage_shows_the_usage(pathlens):
    done = pathlens("record", "--part-size", 0)
    assert done.returncode == 2
    assert "part-size" in done.stderr


def test_a_full_disk_while_recording_is_said_and_finished_parts_stay(trained, tmp_path):
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))\n"
        "sys.argv = ['pathlens', 'record', 'gated', '--out', 'rec', '--limit', '200', '--part-size', '100', '--no-thumbnails']\n"
        "from pathlens.cli import main; main()"
    )
    env = {**os.environ, "PATHLENS_RUNS": str(trained)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert "No space left to write" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "pathlens", "record", "gated", "--out", "rec", "--limit", "200",
         "--part-size", "100", "--no-thumbnails"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "rec").glob("*.partial"))


def read_terminal(terminal, until=None, seconds=120):
    """What is written to a terminal, until some words come or it is closed."""
    found, deadline = "", time.monotonic() + seconds
    while (until is None or until not in found) and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                found += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the other side is closed
                break
    return found


def test_ctrl_c_during_training_saves_and_resumes(pathlens, tmp_path):
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "pathlens", "train", "resnet20", "--data", "digits",
               "--epochs", "2", "--run", "stopped"]  # fmt: skip
    env = {**os.environ, "PATHLENS_RUNS": str(runs)}
    # On a terminal, where the bar moves at every step: it tells when an epoch is under way.
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    # Only within an epoch is there something to save that finished epochs have not.
    err = read_terminal(ours, until="loss=")
    process.send_signal(signal.SIGINT)
    err += read_terminal(ours)
    process.wait(timeout=120)
    os.close(ours)
    assert process.returncode == 130, err
    assert "everything is saved: resume with `pathlens train --run stopped`" in err
    assert "Traceback" not in err
    done = pathlens("train", "--run", "stopped", runs=runs)
    assert done.returncode == 0, done.stderr
    assert (runs / "stopped" / "result.json").exists()
