"""Kept networks, their images and their recordings in a working folder, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pathlens
from pathlens.files import read_json, write_json
from pathlens.recording import Recording
from pathlens.runs import Run

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("PATHLENS_SHARED", HERE.parents[2] / "shared")).resolve()
CHECKPOINTS = HERE.parent / "checkpoints"


def images_of(data: str, work: Path) -> Path:
    """Folder of the images of a data set; CIFAR-10 is unpacked first if need be."""
    if data != "cifar10":
        return SHARED / "data" / data
    images = work / "cifar10"
    if not images.exists():
        unpack = [sys.executable, SHARED / "data" / "cifar10" / "unpack.py", images]
        subprocess.run(unpack, check=True)
    return images


def borrowed(source: Path, work: Path, images: Path) -> Run:
    """A copy of a finished run that nothing else writes into, told where its images are.

    Args:
        source: Folder of the run.
        work: The working folder; the copy is `runs/NAME` in it.
        images: Folder of the images that the run was trained on.
    """
    target = work / "runs" / source.name
    if not (target / "result.json").exists():
        target.mkdir(parents=True, exist_ok=True)
        for name in ("checkpoint.pt", "config.json", "history.csv", "result.json"):
            shutil.copy(source / name, target / name)  # the last one says that the copy is whole
    config = read_json(target / "config.json")
    if config["data"] != str(images):
        write_json(target / "config.json", {**config, "data": str(images)})
    return Run(target)


def own_paths(run: Run, images: Path, limit: int | None = None) -> Recording:
    """The paths of the test images under a run."""
    target = run.folder / "recordings" / f"paths{'' if limit is None else f'-{limit}'}"
    return pathlens.record(
        run, images, split="test", limit=limit, out=target, thumbnails=False, progress=False
    )


def plain_codes(
    plain: Run, code: str, rates_from: Run, images: Path, rates: int, limit: int | None = None
) -> Recording:
    """The test images in a code of a plain network, with the on-rates of another run's gates.

    Args:
        plain: The plain run.
        code: "response" or "random".
        rates_from: The decoupled run.
        images: Folder of the images.
        rates: Training images on which rates and thresholds are taken.
        limit: Test images, all for None.
    """
    name = f"{code}-{rates_from.name}{'' if limit is None else f'-{limit}'}"
    return pathlens.record(
        plain,
        images,
        split="test",
        limit=limit,
        out=plain.folder / "recordings" / name,
        plain=code,
        rates_from=rates_from,
        rates_images=rates,
        thumbnails=False,
        progress=False,
    )
