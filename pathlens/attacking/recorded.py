"""`attack()`: altered images of a run, made and recorded in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pathlens.attacking.alteration import Alteration
from pathlens.attacking.api import alter, reencode
from pathlens.attacking.folder import AlteredImages
from pathlens.attacking.registry import find_alteration
from pathlens.detection.sets import ABOUT, mark_altered
from pathlens.errors import PathLensError
from pathlens.files import read_json
from pathlens.recorder import record
from pathlens.recording.reader import Recording
from pathlens.runs import Run, find_run

COLUMNS = ("scores", "features", "logits")
"""What detectors read beside the bits."""


def attack(
    run: str | Path | Run | None,
    whats: str | Alteration | Sequence[str | Alteration],
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
        PathLensError: If nothing is asked for, and as `alter` and `record` say. A label that is
            not known is told before anything is made.
    """
    wanted = _wanted(whats)
    found = run if isinstance(run, Run) else find_run(run, with_paths=run is None)
    chosen = None if images is None or isinstance(images, int) else list(images)
    made = {
        "clean": record(
            found, data, columns=COLUMNS, batch_size=batch_size, device=device, progress=progress
        )
    }
    for what in wanted:
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


def _wanted(whats: str | Alteration | Sequence[str | Alteration]) -> list[Alteration]:
    """What is to be done to the images."""
    given = whats if isinstance(whats, Sequence) and not isinstance(whats, str) else [whats]
    if not given:
        raise PathLensError("Say what to do to the images: give a label such as 'pgd-linf-8'.")
    return [find_alteration(one) if isinstance(one, str) else one for one in given]


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
        PathLensError: If other altered images were recorded under this label before, or as `record`
            says.
    """
    out = run.folder / "recordings" / f"altered-{altered.label}"
    # Ids are the same whatever was done to an image, so that `record` could not tell.
    _require_same(out, altered)
    # Nor does an interrupted recording say yet which images its parts are of: it has to look at them.
    unmarked = not (out / ABOUT).is_file()
    recording = record(
        run,
        altered.folder,
        out=out,
        columns=COLUMNS,
        batch_size=batch_size,
        device=device,
        changed=unmarked,
        progress=progress,
    )
    mark_altered(recording, altered.config)
    return recording


def _require_same(out: Path, altered: AlteredImages) -> None:
    about = out / ABOUT
    if not about.is_file():
        return
    before = read_json(about)
    if not isinstance(before, dict) or {
        key: before[key] for key in before if key != "recording"
    } != dict(altered.config):
        raise PathLensError(
            f"{out} was recorded from other images than those in {altered.folder}: delete it, and give "
            "the command again."
        )
