"""`attack()`: altered images of a run, made and recorded in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pathlens.attacking.alteration import Alteration
from pathlens.attacking.api import alter, reencode
from pathlens.attacking.folder import AlteredImages
from pathlens.detection.sets import mark_altered
from pathlens.recorder import record
from pathlens.recording.reader import Recording
from pathlens.runs import Run, find_run

COLUMNS = ("scores", "features", "logits")
"""What detectors read beside the bits."""


def attack(
    run: str | Path | Run | None,
    whats: Sequence[str | Alteration],
    *,
    data: str | Path | None = None,
    images: int | Iterable[str] | None = None,
    source: str | Path | Run | None = None,
    gates: str | None = None,
    jpeg: bool = False,
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    progress: bool = True,
) -> dict[str, Recording]:
    """Attack a run's network, change its images without aim, and record clean and altered images.

    Everything that is there already is opened as it is; what was interrupted goes on.

    Args:
        run: Name or folder of a decoupled run, or None for the newest.
        whats: Labels such as "pgd-linf-8" or "noise-8", or attacks and benign controls with settings.
        data: Where its images are, if not where the run found them.
        images: As of `alter`.
        source: Another run whose network is attacked instead, as of `alter`.
        gates: As of `alter`.
        jpeg: Whether attacked images are encoded again as JPEG as well, into sets of their own.
        seed: As of `alter`.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        progress: Whether to show progress bars.

    Returns:
        Recordings with gate scores, features and logits: "clean" (the whole test split) and each
        altered set by its label, in the run's `recordings/altered-LABEL`.

    Raises:
        PathLensError: As `alter` and `record` say.
    """
    found = run if isinstance(run, Run) else find_run(run, with_paths=run is None)
    chosen = None if images is None or isinstance(images, int) else list(images)
    made = {
        "clean": record(
            found, data, columns=COLUMNS, batch_size=batch_size, device=device, progress=progress
        )
    }
    for what in whats:
        one = alter(
            found,
            what,
            data=data,
            images=images if chosen is None else chosen,
            source=source,
            gates=gates,
            seed=seed,
            batch_size=batch_size,
            device=device,
            progress=progress,
        )
        sets = [one]
        if jpeg and one.config["kind"] == "attack":
            sets.append(
                reencode(one, data=data, batch_size=batch_size, device=device, progress=progress)
            )
        for each in sets:
            made[each.label] = record_altered(found, each, batch_size, device, progress)
    return made


def record_altered(
    run: Run,
    altered: AlteredImages,
    batch_size: int = 128,
    device: str = "cpu",
    progress: bool = True,
) -> Recording:
    """Record altered images with all that detectors read, and say beside the recording what they are.

    Args:
        run: The run whose network judged them.
        altered: The finished folder.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        progress: Whether to show a progress bar.

    Raises:
        PathLensError: As `record` says.
    """
    recording = record(
        run,
        altered.folder,
        out=run.folder / "recordings" / f"altered-{altered.label}",
        columns=COLUMNS,
        batch_size=batch_size,
        device=device,
        progress=progress,
    )
    mark_altered(recording, altered.config)
    return recording
