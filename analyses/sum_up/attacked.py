"""One attack on each row's own network, and one detector on its codes that saw clean images only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measures import Measures, measured, missing

import pathlens
from pathlens.attacking import AlteredImages, alter
from pathlens.detection import evaluate
from pathlens.errors import PathLensError
from pathlens.recording import Recording
from pathlens.runs import Run

MEASURES = ("auroc",)


def attacked_images(run: Run, settings: dict[str, Any], images: Path) -> AlteredImages:
    """Images that fool the run's network, made once."""
    return alter(
        run,
        settings["attack"],
        data=images,
        images=settings["attacked_images"],
        seed=settings["seed"],
        progress=False,
    )


def recorded(run: Run, altered: AlteredImages, **how: Any) -> Recording:
    """Altered images as the run's paths, or as a code of it (`plain`, `rates_from`)."""
    out = run.folder / "recordings" / f"{altered.label}-{how.get('plain', 'paths')}"
    return pathlens.record(run, altered.folder, out=out, thumbnails=False, progress=False, **how)


def detection(clean: Recording, altered: Recording, settings: dict[str, Any]) -> Measures:
    """Area under the curve of the detector, on images that it was not fitted on.

    Measures: auroc, of attacks that succeeded against clean test images that the network gets right.
    """
    try:
        found = evaluate(
            clean,
            {settings["attack"]: altered},
            detectors=[settings["detector"]],
            few=(),
            seed=settings["seed"],
            progress=False,
        ).frame
    except PathLensError as error:
        return missing(MEASURES, str(error))
    row = found[found["kind"] == "attack"].iloc[0]
    spread = (float(row["ci_low"]), float(row["ci_high"]))
    return [measured("auroc", row["auroc"], interval=spread, images=int(row["n_altered"]))]
