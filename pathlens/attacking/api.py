"""`alter()` and `reencode()`: attacked and benign images of a run, as folders that can be recorded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pathlens.attacking.alteration import Alteration
from pathlens.attacking.folder import (
    AlteredImages,
    open_altered,
)
from pathlens.attacking.images import choose_images
from pathlens.attacking.making import Asked, write_altered
from pathlens.attacking.reencoding import Reencoded
from pathlens.attacking.registry import find_alteration
from pathlens.datasets.registry import resolve_spec
from pathlens.devices import check_device
from pathlens.errors import PathLensError
from pathlens.runs import Run, find_run
from pathlens.training.loading import load_run

PART_SIZE = 512
"""Images a part: what is lost when a run is interrupted is at most the work of one."""


def alter(
    run: str | Path | Run | None,
    what: str | Alteration,
    *,
    data: str | Path | None = None,
    split: str | None = None,
    images: int | Iterable[str] | None = None,
    correct_only: bool = True,
    leave_out: Iterable[str] = (),
    seed: int = 0,
    out: str | Path | None = None,
    source: str | Path | Run | None = None,
    gates: str | None = None,
    batch_size: int = 128,
    device: str = "cpu",
    part_size: int = PART_SIZE,
    progress: bool = True,
) -> AlteredImages:
    """Attack a run's network, or change its images without aim, and keep the images as a folder.

    Images are 8-bit, and an attack has succeeded if the 8-bit image is misclassified with hard gates.
    An interrupted call goes on after its last finished part; a finished folder is opened as it is.

    Args:
        run: Name or folder of the run that is to be fooled, or None for the newest decoupled one.
        what: A label such as "pgd-linf-8" (see `registry.find_alteration`), or an attack or benign
            control with its settings, such as `ProjectedGradient("linf", 8 / 255, steps=100)`.
        data: Data set or image folder; the one the run was trained on if not given.
        split: Name of the split; "test" if not given.
        images: Size of a seeded, class-balanced subset of the images that the network gets right, or
            ids of images; all if not given. With the same seed a smaller subset is part of a larger.
        correct_only: Whether images that the network gets wrong when clean are left out.
        leave_out: Ids of images that are not taken where `images` gives no ids and others are there.
        seed: Not negative; draws the subset and all random numbers of an image, which depend on
            its id only.
        out: Folder to write; `altered/<label>` in the run's folder if not given.
        source: Another run, plain or decoupled, whose network is attacked instead; `run` decides
            whether the images carry over.
        gates: How the attacked network decides its gates while gradients are taken,
            "straight-through" (if not given), "soft" or "hard" (no gradient through gates).
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        part_size: Images a part; a batch never straddles two parts.
        progress: Whether to show a progress bar.

    Returns:
        The finished folder.

    Raises:
        PathLensError: If there is no such run or attack, a setting is out of range, gates are given
            for a plain network, the runs do not fit together, no image is right when clean, the
            folder holds something else, or the attack library is not installed.
    """
    if seed < 0:
        raise PathLensError(f"The seed {seed} is negative: give 0 or more.")
    for name, value in (("batch_size", batch_size), ("part_size", part_size)):
        if value < 1:
            raise PathLensError(f"{name} is {value}: give at least 1.")
    alteration = find_alteration(what) if isinstance(what, str) else what
    check_device(device)
    judged = load_run(find_run(with_paths=True) if run is None else run)
    asked = Asked(judged, None if source is None else load_run(source), alteration, gates, seed)
    networks = asked.networks(device, batch_size)
    chosen = choose_images(
        judged,
        networks.judge,
        data,
        split,
        images,
        correct_only=correct_only,
        leave_out=leave_out,
        seed=seed,
        batch_size=batch_size,
    )
    spec = resolve_spec(data) if data is not None else judged.config.data
    plan = asked.plan(chosen, spec, correct_only, part_size)
    folder = Path(out) if out is not None else judged.run.folder / "altered" / asked.label
    return write_altered(folder, plan, asked, networks, chosen, part_size, progress)


def reencode(
    folder: str | Path | AlteredImages,
    quality: int = 75,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    batch_size: int = 128,
    device: str = "cpu",
    progress: bool = True,
) -> AlteredImages:
    """Encode altered images as JPEG, decode them, and decide anew which are misclassified.

    Clean images of a JPEG data set have been through JPEG and altered ones have not: a detector could
    tell them apart by that alone.

    Args:
        folder: A finished folder that `alter` made in a run's folder.
        quality: 1 to 95, as libjpeg has it.
        data: Where the clean images are now, if elsewhere than when the folder was made.
        out: Folder to write; beside `folder`, its name with "-jpeg" (and the quality if it is not 75)
            if not given.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        progress: Whether to show a progress bar.

    Returns:
        The finished folder, with a row for every image of `folder`.

    Raises:
        PathLensError: If the folder is not finished, its run has another checkpoint now, or its
            clean images are gone.
    """
    given = folder if isinstance(folder, AlteredImages) else open_altered(folder)
    reencoded = Reencoded(given, quality)
    judged = load_run(_its_run(given))
    if judged.checkpoint != given.config["checkpoint"]:
        raise PathLensError(
            f"Run {judged.run.name} has another checkpoint than when {given.folder} was made: alter "
            "its images again."
        )
    origin = given.config["data"]
    return alter(
        judged.run,
        reencoded,
        data=data if data is not None else origin["name"],
        split=origin["split"],
        images=list(given.table["source_image"]),
        correct_only=False,
        seed=given.config["seed"],
        out=out if out is not None else given.folder.with_name(reencoded.label),
        batch_size=batch_size,
        device=device,
        part_size=given.config["part_size"],
        progress=progress,
    )


def _its_run(given: AlteredImages) -> Run:
    beside = Run(given.folder.resolve().parent.parent)
    if (beside.folder / "config.json").is_file():
        return beside
    return find_run(given.config["run"])
