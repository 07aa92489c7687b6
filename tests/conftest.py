"""What all tests share: a place for runs, the shared data, and a quick trained run."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PATHLENS_SHARED", Path(__file__).parents[2] / "shared"))

SHARED_RUNS = pytest.StashKey()


@pytest.fixture(scope="session")
def shared_data():
    """The folder of shared data; tests that need it are skipped where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there (set PATHLENS_SHARED)")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory, request):
    """Folder of runs with one small plain run ("plain") and one decoupled from it ("gated").

    All tests of a process share it, so none may write there.
    """
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
    request.session.stash[SHARED_RUNS] = (root, _files(root))
    return root


@pytest.fixture(autouse=True)
def _trained_left_alone(request):
    """No test writes into the runs that all tests share: who needs to takes a copy.

    Otherwise what a test finds there hangs on which tests its process ran before.
    """
    yield
    made = request.session.stash.get(SHARED_RUNS, None)
    if made is not None:
        folder, before = made
        now = _files(folder)
        request.session.stash[SHARED_RUNS] = (folder, now)  # so that one test is blamed, not all
        assert now == before, "this test, or a fixture made for it, wrote into the shared runs"


def _files(folder):
    """Size and time of change of every file below."""
    stats = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}
