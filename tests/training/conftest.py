"""Small trainings that take a second or two."""

import pytest
import torch

from pathlens.training import train
from pathlens.training.checkpoint import load_checkpoint


def weights_of(run):
    return load_checkpoint(run.checkpoint)["weights"]


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def quick():
    """Train a narrow network on a few digits; keyword arguments replace the defaults."""

    def run(**changes):
        settings = {
            "model": "small_cnn",
            "data": "digits",
            "width": 0.25,
            "limit": 200,
            "epochs": 2,
            "batch_size": 32,
            "progress": False,
        }
        return train(**{**settings, **changes})

    return run
