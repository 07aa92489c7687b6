"""`pathlens explain` as a user meets it."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from pathlens.recorder import record


@pytest.fixture(scope="module")
def place(trained, tmp_path_factory):
    """A folder with runs, one of them recorded, a picture, and what is none."""
    root = tmp_path_factory.mktemp("explain")
    # Without what tests of other files may have recorded in it.
    shutil.copytree(trained, root / "runs", ignore=shutil.ignore_patterns("recordings"))
    shutil.copytree(root / "runs" / "gated", root / "runs" / "bare")
    record(root / "runs" / "gated", limit=40, progress=False)
    Image.new("RGB", (40, 40), (200, 10, 10)).save(root / "red.png")
    (root / "pictures").mkdir()
    Image.new("RGB", (40, 60), (10, 10, 200)).save(root / "pictures" / "red.png")
    (root / "notes.png").write_text("no picture")
    return root


def pathlens(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pathlens", "explain", *map(str, arguments)],
        cwd=place,
        env={**os.environ, "PATHLENS_RUNS": "runs", "PYTHONWARNINGS": "error::UserWarning"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_several_images_are_explained_and_written(place):
    done = pathlens(place, "red.png", "pictures/red.png", "0", "--run", "gated", "--passes", 5)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is taken for") == 3
    assert "Nearest recorded images by path" in done.stdout
    assert "Filters ablated one by one" in done.stdout
    assert "(the run's newest)" in done.stdout
    assert "passes" in done.stderr  # progress
    folder = place / "runs" / "gated" / "explanations"
    names = {path.name for path in folder.iterdir()}
    assert {"red", "red-2"} < names
    assert len(names) == 3
    for name in names:
        for ending in ("png", "svg"):
            assert (folder / name / f"explanation.{ending}").stat().st_size > 10_000
        assert json.loads((folder / name / "explanation.json").read_text())["run"] == "gated"


def test_without_a_recording_it_says_what_is_missing_and_how_to_get_it(place):
    done = pathlens(place, "red.png", "--run", "bare", "--passes", 5, "--out", "here")
    assert done.returncode == 0, done.stderr
    assert "pathlens record bare" in done.stdout
    assert "Nearest" not in done.stdout
    assert (place / "here" / "red" / "explanation.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["notes.png", "--run", "gated"], "cannot be read as an image"),
        (["none.png", "--run", "gated"], "neither a file nor an id"),
        (["none.png", "--run", "bare"], "no image file none.png"),
        (["pictures", "--run", "gated"], "is a folder"),
        (["red.png", "--run", "plain"], "plain network"),
        (["red.png", "--run", "gatd"], "did you mean gated"),
        (["red.png", "--run", "gated", "--recording", "nowhere"], "no recording folder"),
    ],
)
def test_bad_input_is_one_sentence(place, arguments, message):
    done = pathlens(place, *arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("pathlens: ")]
    assert len(said) == 1
    assert message in said[0]
