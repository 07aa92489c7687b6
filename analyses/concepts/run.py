"""Record real images, build concept tables, and look for combinations that go with the concepts.

Usage: PATHLENS_SHARED=../shared python analyses/concepts/run.py WORK [STUDY ...]

Does what studies.toml lists, by the commands that anyone would give, which it prints. What is there
already in WORK is not made again; tables of finished studies stand under tables/ beside this file.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from shared_work import CHECKPOINTS, SHARED, borrowed, cifar10  # noqa: E402

DATA = SHARED / "data"
PATHLENS = Path(sys.executable).with_name("pathlens")
CODES = ("response", "random")


def main(work: Path, wanted: list[str]) -> None:
    """Make what is missing of the studies that are named, or of all."""
    prepare(work)
    studies = tomllib.loads((HERE / "studies.toml").read_text("utf-8"))["study"]
    for study in studies:
        if not wanted or study["name"] in wanted:
            names = {"data": str(DATA), "work": str(work)}
            make({key: filled(value, names) for key, value in study.items()}, work)


def filled(value: Any, names: dict[str, str]) -> Any:
    """The value with folders in place of their names."""
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    return value.format(**names) if isinstance(value, str) else value


def prepare(work: Path) -> None:
    """Kept runs, the folders that they name their data by, and the superclasses of CIFAR-10."""
    for kept in CHECKPOINTS.iterdir():
        borrowed(kept, work / "runs" / kept.name)
    for name in ("tinyimagenet20_a", "flowers128"):
        if not (work / name).exists():
            (work / name).symlink_to(DATA / name)
    cifar10(work / "cifar10")
    for kind in ("images", "masks"):
        flatten(DATA / "camvid" / kind, work / f"camvid_{kind}")
    from pathlens.analysis.classes.class_hierarchies import cifar10_hierarchy

    table = cifar10_hierarchy().rename_axis("class")
    table.to_csv(work / "cifar10_superclasses.tsv", sep="\t", lineterminator="\n")


def flatten(source: Path, target: Path) -> None:
    """Links to all files below a folder, in one folder: what is in no class folder has no class."""
    target.mkdir(exist_ok=True)
    for path in source.rglob("*.*"):
        if not (target / path.name).exists():
            (target / path.name).symlink_to(path)


def make(study: dict[str, Any], work: Path) -> None:
    """Record, build the table, associate, and keep the tables."""
    place = work / study["name"]
    place.mkdir(exist_ok=True)
    own = record(study, place, "paths", study["network"])
    rates = ("--rates-images", 2000, "--rates-from")
    coded = [
        record(study, place, code, study["plain"], "--plain", code, *rates, study["network"])
        for code in CODES
    ]
    concepts = place / "concepts.csv"
    if not concepts.exists():
        pathlens(
            *("concepts", "build", *study["build"], "--images", study["images"]),
            *("--recording", own, "--out", concepts),
        )
    out = place / "associations"
    if not (out / "summary.json").exists():
        asked = [own, "--concepts", concepts, "--out", out, "--data", study["images"]]
        asked += ["--ablate", "--images", 100, "--strongest", 12]
        for baseline in coded:
            asked += ["--baseline", baseline]
        for layer in study["layers"]:
            asked += ["--layer", layer]
        if "masks" in study:
            asked += ["--masks", study["masks"], "--classes", study["classes"]]
        pathlens("associate", *asked)
    keep(out, HERE / "tables" / study["name"])


def record(study: dict[str, Any], place: Path, name: str, run: str, *more: Any) -> Path:
    """Record the images once, below the run: what needs the network looks for it there."""
    images = Path(study["images"])
    folder = images.parent.name if images.name == "images" else images.name
    target = place.parent / "runs" / run / "recordings" / f"{folder}-{name}"
    if not (target / "recording.json").exists():
        asked = [run, "--data", study["images"], "--out", target, *more]
        if "split" in study:
            asked += ["--split", study["split"]]
        if study.get("videos"):
            asked += ["--groups", videos(Path(study["images"]), place / "videos.csv")]
        pathlens("record", *asked)
    return target


def videos(images: Path, table: Path) -> Path:
    """A table that says which video a frame is from: what stands before the first _ of its name."""
    files = sorted(path for path in images.rglob("*") if path.is_file())
    with table.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["image", "group"])
        for path in files:
            writer.writerow([path.relative_to(images).as_posix(), path.name.partition("_")[0]])
    return table


def pathlens(*words: Any) -> None:
    """Run a command of PathLens, in the folder in which the kept runs find their data."""
    said = [str(word) for word in words]
    print("pathlens", *said, flush=True)
    runs = {"PATHLENS_RUNS": str(WORK / "runs")}
    subprocess.run([PATHLENS, *said], check=True, cwd=WORK, env={**os.environ, **runs})


def keep(out: Path, target: Path) -> None:
    """Copy the tables and the summary of a study beside this script."""
    target.mkdir(parents=True, exist_ok=True)
    for file in (*(out / "tables").glob("*.csv"), out / "summary.json"):
        shutil.copy(file, target / file.name)


if __name__ == "__main__":
    WORK = Path(sys.argv[1]).resolve()
    main(WORK, sys.argv[2:])
