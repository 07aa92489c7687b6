"""A folder such as the pages speak of: images in PHOTOS, a run, and its recording."""

import os
import shutil

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

COLOURS = {"bird": (40, 90, 200), "cat": (200, 60, 40), "dog": (60, 170, 70)}


def draw_photos(root):
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 12)):
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(1, count + 1):
                pixels = rng.normal(colour, 40, (32, 32, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:03}.png")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    from pathlens.recorder import record
    from pathlens.training import train

    root = tmp_path_factory.mktemp("docs")
    draw_photos(root / "PHOTOS")
    before = os.environ.get("PATHLENS_RUNS")
    os.environ["PATHLENS_RUNS"] = str(root / "runs")
    common = {"width": 0.5, "progress": False}
    try:
        train("small_cnn", root / "PHOTOS", plain=True, epochs=1, run="plain", **common)
        train("small_cnn", root / "PHOTOS", start_from="plain", epochs=1, run="photos", **common)
        record("photos", progress=False)
    finally:
        os.environ.pop("PATHLENS_RUNS")
        if before is not None:
            os.environ["PATHLENS_RUNS"] = before
    recordings = root / "runs" / "photos" / "recordings"
    shutil.copytree(
        recordings / "PHOTOS-test", root / "runs" / "demo" / "recordings" / "scenes-test"
    )
    return root


@pytest.fixture
def workplace(made_once, tmp_path, monkeypatch):
    """A copy of that folder to work in, as a page's reader would."""
    place = tmp_path / "work"
    shutil.copytree(made_once, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATHLENS_RUNS", "runs")
    monkeypatch.syspath_prepend(str(place))
    mpl.use("Agg")
    return place
