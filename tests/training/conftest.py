"""Small trainings that take a second or two."""

import pytest

from pathlens.training import train


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
