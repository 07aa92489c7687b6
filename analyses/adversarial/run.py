"""Attack a kept network, record what its paths do, and hold detectors against it.

Usage: PATHLENS_SHARED=../shared python analyses/adversarial/run.py WORK
           [--study FILE] [--sets N] [--evaluate]

Makes what FILE lists (study.toml if not given; seed1.toml is of another network) in the folder WORK, as
far as it is not there yet (images of a set in parts, each kept); then evaluates what there is and
writes tables and figures into tables/NETWORK beside this file. `--sets N` makes the first N groups of
sets only, `--evaluate` makes none.
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from transfer import transfer

import pathlens
from pathlens.attacking import AlteredImages, attack, open_altered
from pathlens.detection import altered_sets, evaluate
from pathlens.detection.evaluation.families import is_adaptive
from pathlens.detection.sets import mark_altered
from pathlens.files import write_text
from pathlens.recording import Recording
from pathlens.runs import Run

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from shared_work import CHECKPOINTS, borrowed, cifar10  # noqa: E402

FLOATS = ("scores", "features", "logits")


def main(work: Path, file: Path, sets: int | None, *, make: bool) -> None:
    """Make what is missing, and evaluate."""
    study = read_study(file)
    prepare(work, study)
    if make:
        for entry in study["set"][:sets]:
            made = attacked(entry, study, work)
            for code in study["codes"]:
                for folder in made:
                    coded(code, folder, study, work)
    report(study, work)


def read_study(file: str | Path) -> dict[str, Any]:
    """What a file lists, which stands anywhere or beside this one."""
    path = Path(file)
    return tomllib.loads((path if path.is_file() else HERE / path).read_text("utf-8"))


def tables_of(study: dict[str, Any]) -> Path:
    """Folder of the tables and figures of a network."""
    return HERE / "tables" / str(study["network"])


def prepare(work: Path, study: dict[str, Any]) -> None:
    """Kept runs and the images, where the runs look for them."""
    for name in (study["network"], study["plain"]):
        borrowed(CHECKPOINTS / name, work / "runs" / name)
    cifar10(work / "cifar10")
    os.environ["PATHLENS_RUNS"] = str(work / "runs")
    os.chdir(work)  # the kept runs name their images "cifar10", for this folder


def attacked(entry: dict[str, Any], study: dict[str, Any], work: Path) -> list[AlteredImages]:
    """The folders of one set of altered images, which are recorded too."""
    run = Run(work / "runs" / study["network"])
    made = attack(
        run,
        entry["labels"],
        data=work / "cifar10",
        images=entry["images"],
        source=study["plain"] if entry.get("source") else None,
        jpeg=entry.get("jpeg", False),
        seed=study["seed"],
    )
    return [open_altered(run.folder / "altered" / label) for label in made if label != "clean"]


def coded(code: str, altered: AlteredImages, study: dict[str, Any], work: Path) -> Recording:
    """The same images as a code of the plain network records them."""
    recording = pathlens.record(
        study["plain"],
        altered.folder,
        out=place_of(code, study, work) / f"altered-{altered.label}",
        plain=code,
        rates_from=study["network"],
        rates_images=2000,
        columns=("scores",),
        thumbnails=False,
    )
    mark_altered(recording, altered.config)
    return recording


def place_of(code: str, study: dict[str, Any], work: Path) -> Path:
    """Folder of the recordings of a code."""
    return work / "runs" / str(study["plain"]) / "recordings" / code


def report(study: dict[str, Any], work: Path) -> None:
    """Evaluate what is there."""
    images = work / "cifar10"
    clean = pathlens.record(study["network"], images, columns=FLOATS)
    sets = altered_sets(clean)
    named = {x: one for x, one in sets.recordings.items() if not is_adaptive(x)}
    codes = {}
    for code in study["codes"]:
        own = pathlens.record(
            study["plain"],
            images,
            out=place_of(code, study, work) / "clean",
            plain=code,
            rates_from=study["network"],
            rates_images=2000,
            columns=("scores",),
            thumbnails=False,
        )
        codes[code] = (own, altered_sets(own).recordings)
    found = evaluate(
        clean,
        named,
        benign=sets.benign,
        detectors=study.get("detectors"),
        baselines=codes,
        seed=study["seed"],
    )
    folder = tables_of(study)
    found.save(folder)
    if codes:
        _, plain = next(iter(codes.values()))
        attacks = {x: sets.recordings[x] for x in plain if x not in sets.benign}
        text = transfer(attacks, plain).to_csv(index=False, float_format="%.4g")
        write_text(folder / "transfer.csv", text)
    print(found.summary())
    print(f"Left out: {found.left_out}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--study", type=Path, default=Path("study.toml"), help="what is made")
    parser.add_argument("--sets", type=int, help="make only the first so many sets")
    parser.add_argument("--evaluate", action="store_true", help="make none")
    asked = parser.parse_args()
    main(asked.work.resolve(), asked.study, asked.sets, make=not asked.evaluate)
