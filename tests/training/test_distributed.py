"""Two real processes, started by torchrun, against one."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from pathlens.runs import Run
from pathlens.training import train
from pathlens.training.distributed import World

RECIPE = """
[optimiser]
freeze_batch_norm = true
lr_from_scratch = 0.02
gating_lr = 0.1
nesterov = true
[gating]
standardise = true
opening = 0.5
scale = 1.0
[hash]
noise_until = 0.4
hard_from = 0.9
[losses]
mutual_information = 0.3
alignment = 1.0
alignment_detach = true
sparsity = "{sparsity}"
sparsity_weight = {weight}
sparsity_target = 0.4
sparsity_floor = 0.6
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(autouse=True)
def runs(root, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(root / "runs"))
    return root / "runs"


def settings(root, sparsity="macs", weight=10.0, **changes):
    path = root / f"{sparsity}.toml"
    path.write_text(RECIPE.format(sparsity=sparsity, weight=weight))
    # 67 images: 57 to train on, in uneven batches of 25, 25 and 7, and 10 to validate
    common = {"model": "small_cnn", "data": "digits", "width": 0.25, "limit": 67, "epochs": 2}
    return {**common, "batch_size": 25, "recipe": str(path), "progress": False, **changes}


def start(script, tmp_path):
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    command += ["--master_port=0", "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"]
    return subprocess.Popen(
        [*command, str(tmp_path / "script.py")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def history(name, root):
    return pd.read_csv(root / "runs" / name / "history.csv").drop(columns="seconds")


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(root, tmp_path):
    """Frozen BN statistics: losses within 1e-5, and every image measured once."""
    several = {
        "macs": settings(root),
        "gates": settings(root, "gates", 0.1, batch_size=21),
        "plain": settings(root, plain=True),
        "filters": settings(
            root, "filters", 10.0, batch_size=27, seed=1
        ),  # at last 3: not to be divided
    }
    script = "from pathlens.training import train\n"
    for name, asked in several.items():
        script += f"train(**{asked!r}, run='two-{name}')\n"
    process = start(script, tmp_path)
    try:
        _, errors = process.communicate(timeout=200)
    finally:
        process.terminate()
    assert process.returncode == 0, errors
    for name, asked in several.items():
        one = train(**asked, run=f"one-{name}").result
        two = Run(root / "runs" / f"two-{name}").result
        pd.testing.assert_frame_equal(
            history(f"one-{name}", root), history(f"two-{name}", root), atol=1e-5, rtol=1e-5
        )
        for split, images in (("validation", 10), ("test", 67)):
            assert one[split]["images"] == two[split]["images"] == images
            assert one[split]["accuracy"] == two[split]["accuracy"]
            assert one[split]["loss"] == pytest.approx(two[split]["loss"], abs=1e-5)
    assert history("one-macs", root)["density"].between(0.3, 0.95).all()  # gates were undecided


@pytest.mark.slow
def test_ctrl_c_stops_both_and_one_process_can_go_on(root, tmp_path):
    asked = settings(root, run="cut", epochs=40)
    script = (
        "import sys\nfrom pathlens.cli import main\n"
        f"sys.argv = ['pathlens', 'train', 'small_cnn', '--data', 'digits', '--width', '0.25', "
        f"'--limit', '67', '--epochs', '40', '--batch-size', '25', '--recipe', {asked['recipe']!r}, "
        "'--run', 'cut']\nmain()\n"
    )
    process = start(script, tmp_path)
    table = root / "runs" / "cut" / "history.csv"
    deadline = time.monotonic() + 200
    while not table.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.count("everything is saved: resume with") == 1, output + errors
    assert output.count("Run cut in") == 1
    done = len(history("cut", root))
    assert 1 <= done < 40
    # the same command and fewer processes; the rest is as if there had been one all along
    train(**asked)
    train(**{**asked, "run": "uncut"})
    pd.testing.assert_frame_equal(
        history("uncut", root)[: done + 2], history("cut", root)[: done + 2], atol=1e-5, rtol=1e-5
    )


BROKEN = """
import os
import torch
from pathlens.errors import PathLensError
from pathlens.models.small_cnn import SmallCNN

class Broken(SmallCNN):
    steps = 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            if self.steps > 4 and os.environ.get("RANK") == "1":
                raise PathLensError("Something is wrong in one process.")
        return super().forward(x)

def broken(classes):
    return Broken(classes, 0.25)
"""


@pytest.mark.slow
def test_an_error_in_one_process_ends_the_other_soon(root, tmp_path):
    (tmp_path / "broken_network.py").write_text(BROKEN)
    asked = settings(root, model="broken_network:broken", width=1.0, epochs=50, run="broken")
    process = start(f"from pathlens.training import train\ntrain(**{asked!r})\n", tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Something is wrong in one process" in errors
    assert len(history("broken", root)) == 1  # what was finished is whole


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7, 10, 11])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_parts_are_disjoint_and_whole_and_slices_leave_nobody_with_one_image(count, size):
    items = list(range(count))
    worlds = [World(rank, size) for rank in range(size)]
    assert [item for world in worlds for item in world.part(items)] == items
    slices = [list(world.slice(items)) for world in worlds]
    if count < 2 * size:
        assert slices == [items] * size
    else:
        assert [item for one in slices for item in one] == items
        assert max(map(len, slices)) - min(map(len, slices)) <= 1


def test_a_process_alone_sends_no_messages():
    world = World()
    values = torch.rand(5, 2)
    assert world.sum(1, 2.5) == [1, 2.5]
    assert torch.equal(world.mean(1.0)(values), values.mean(dim=0))
    assert world.from_leader("x") == "x"
    assert world.union({1: "a"}) == {1: "a"}
    with world.leader_first():
        pass
