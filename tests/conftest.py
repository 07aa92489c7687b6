"""What all tests share: a place for runs, the shared data, and a quick trained run."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PATHLENS_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared_data():
    """The folder of shared data; tests that need it are skipped where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there (set PATHLENS_SHARED)")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of runs with one small plain run ("plain") and one decoupled from it ("gated")."""
    from pathlens.training import train

    root = tmp_path_factory.mktemp("trained") / "runs"
    before = os.environ.get("PATHLENS_RUNS")
    os.environ["PATHLENS_RUNS"] = str(root)
    try:
        common = {"width": 0.5, "batch_size": 64, "progress": False}
        train("small_cnn", "digits", plain=True, epochs=2, run="plain", **common)
        train("small_cnn", "digits", start_from="plain", epochs=2, run="gated", **common)
    finally:
        if before is None:
            del os.environ["PATHLENS_RUNS"]
        else:
            os.environ["PATHLENS_RUNS"] = before
    return root
