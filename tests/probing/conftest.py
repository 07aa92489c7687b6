"""A recorded run whose gates differ between images, and a way to plant something in it."""

import shutil

import pytest
import torch

from pathlens.recorder import record


def record_changed(trained, root, change=lambda weights: None, *, limit=60, gating="gating."):
    """Record the small decoupled run with random gating modules, its weights changed by a function."""
    shutil.copytree(trained, root / "runs")
    change_gates(root / "runs" / "gated" / "checkpoint.pt", change, gating=gating)
    return record(root / "runs" / "gated", limit=limit, progress=False)


def change_gates(file, change=lambda weights: None, *, gating="gating."):
    """Give the run of a checkpoint random gating modules, and its weights to a function."""
    content = torch.load(file, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in content["weights"].items():
        if name.startswith(gating) and "fc" in name:
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    change(content["weights"])
    torch.save(content, file)


@pytest.fixture
def record_lively(trained, tmp_path, monkeypatch):
    """Record such a run, which is then found by its name, too."""
    monkeypatch.setenv("PATHLENS_RUNS", str(tmp_path / "runs"))
    return lambda change: record_changed(trained, tmp_path, change)


@pytest.fixture
def lively(trained, tmp_path, monkeypatch):
    """A recorded run whose gates differ between images."""
    monkeypatch.setenv("PATHLENS_RUNS", str(tmp_path / "runs"))
    return record_changed(trained, tmp_path)
