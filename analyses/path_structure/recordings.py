"""Kept networks, their images and their recordings in a working folder, made once."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pathlens
from pathlens.files import file_hash
from pathlens.recording import Recording
from pathlens.runs import Run

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from shared_work import SHARED, cifar10  # noqa: E402


def images_of(data: str, work: Path) -> Path:
    """Folder of the images of a data set; CIFAR-10 is unpacked first if need be."""
    return cifar10(work / "cifar10") if data == "cifar10" else SHARED / "data" / data


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
    name = coded_name(code, rates_from, rates) + ("" if limit is None else f"-{limit}")
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


def coded_name(code: str, rates_from: Run, rates: int) -> str:
    """Name of a recording of a code: other weights or other images behind its rates, another name."""
    weights = file_hash(rates_from.checkpoint)
    return (
        f"{code}-{rates_from.name}-{hashlib.sha256(f'{weights} {rates}'.encode()).hexdigest()[:8]}"
    )
