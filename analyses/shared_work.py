"""What studies do alike in their working folders: unpack images, borrow runs, write tables whole.

Usage: PATHLENS_SHARED=../shared python analyses/shared_work.py FOLDER

unpacks CIFAR-10 as FOLDER unless it is there. A script of a study finds this module once the folder
above its own is on `sys.path`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from pathlens.files import file_hash, read_json, write_json, write_text
from pathlens.runs import Run

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("PATHLENS_SHARED", HERE.parents[1] / "shared")).resolve()
CHECKPOINTS = HERE / "checkpoints"
RUN_FILES = ("checkpoint.pt", "config.json", "history.csv", "result.json")
MARK = "borrowed.json"
"""In the copy of a run: which checkpoint it is a copy of."""


def cifar10(target: Path, shared: Path = SHARED) -> Path:
    """CIFAR-10 as a folder of images, unpacked unless it is there.

    Args:
        target: The folder. It gets its name when all 60,000 files are in it, so that an unpacking
            that was interrupted is not taken for whole.
        shared: Folder of the data that all studies share.

    Returns:
        The folder.
    """
    if not target.exists():
        part = _beside(target)
        unpack = shared / "data" / "cifar10" / "unpack.py"
        subprocess.run([sys.executable, str(unpack), str(part)], check=True)
        part.rename(target)
    return target


def borrowed(source: Path, target: Path, data: Path | None = None) -> Run:
    """A copy of a finished run that nothing else writes into.

    A copy whose source has another checkpoint by now is made anew; recordings and altered images in it,
    which are of the earlier network, go with it.

    Args:
        source: Folder of the run.
        target: Folder of the copy.
        data: Folder of the images that the run was trained on, if the copy is to be told.

    Raises:
        SystemExit: If `target` is something else than a copy of `source`.
    """
    wanted = file_hash(source / "checkpoint.pt")
    if (target / MARK).is_file():
        if read_json(target / MARK)["checkpoint"] != wanted:
            print(f"{source} has another checkpoint than {target}: copied anew", flush=True)
            shutil.rmtree(target)
    elif target.exists():
        _adopt(target, source, wanted)
    if not target.exists():
        _copy(source, target, wanted)
    config = read_json(target / "config.json")
    if data is not None and config["data"] != str(data):
        write_json(target / "config.json", {**config, "data": str(data)})
    return Run(target)


def _adopt(target: Path, source: Path, wanted: str) -> None:
    """Mark a folder that holds the same network as a copy, whoever made it."""
    whole = all((target / name).is_file() for name in RUN_FILES if (source / name).is_file())
    if not whole or file_hash(target / "checkpoint.pt") != wanted:
        raise SystemExit(
            f"{target} is no whole copy of {source}: move it away, or give another folder to work in."
        )
    write_json(target / MARK, {"from": str(source), "checkpoint": wanted})


def _copy(source: Path, target: Path, wanted: str) -> None:
    part = _beside(target)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in RUN_FILES:
        if (source / name).is_file():
            shutil.copy(source / name, part / name)
    write_json(part / MARK, {"from": str(source), "checkpoint": wanted})
    part.rename(target)


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def check_names(wanted: list[str], known: list[str]) -> None:
    """Refuse names that are not listed.

    Raises:
        SystemExit: With the names that there are.
    """
    for name in wanted:
        if name not in known:
            raise SystemExit(f"{name!r} is not listed: give some of {', '.join(known)}.")


def write_table(frame: pd.DataFrame, target: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    write_text(target, frame.to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    cifar10(Path(sys.argv[1]))
