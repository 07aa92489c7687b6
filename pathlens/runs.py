"""The noun *run*: the folder of one training, and how the newest is found."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathlens.errors import PathLensError, unknown
from pathlens.files import read_json


def runs_root() -> Path:
    """Folder that holds all runs: `$PATHLENS_RUNS`, by default `runs` where one stands."""
    return Path(os.environ.get("PATHLENS_RUNS", "runs"))


@dataclass(frozen=True)
class Run:
    """One training on disk.

    The folder holds `config.json` (what was asked for), `history.csv` (a row an epoch),
    `checkpoint.pt` (weights and all that resuming needs), `result.json` (written when training has
    finished), `recordings/` and `reports/`.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the run, which is the name of its folder."""
        return self.folder.name

    @property
    def checkpoint(self) -> Path:
        """The checkpoint file."""
        return self.folder / "checkpoint.pt"

    @property
    def config(self) -> dict[str, Any]:
        """What was asked for: model, data, recipe, seed and so on."""
        content = read_json(self.folder / "config.json")
        if not isinstance(content, dict):
            raise PathLensError(f"{self.folder / 'config.json'} is damaged: train the run again.")
        return content

    @property
    def plain(self) -> bool | None:
        """Whether the network has no gates; None if the configuration is damaged."""
        try:
            return bool(self.config.get("plain"))
        except PathLensError:
            return None

    @property
    def finished(self) -> bool:
        """Whether training has come to its end."""
        return (self.folder / "result.json").exists()

    @property
    def result(self) -> dict[str, Any]:
        """Accuracy, gate density and MACs at the end of training; empty while unfinished."""
        return dict(read_json(self.folder / "result.json")) if self.finished else {}


def all_runs(root: Path | None = None) -> list[Run]:
    """All runs under `root`, the newest first; those that have no checkpoint yet stand last."""
    base = runs_root() if root is None else root
    found = [Run(path.parent) for path in base.glob("*/config.json")]

    def age(run: Run) -> tuple[bool, float, str]:
        begun = run.checkpoint.exists()
        stamp = run.checkpoint if begun else run.folder / "config.json"
        return begun, stamp.stat().st_mtime, run.name

    return sorted(found, key=age, reverse=True)


def find_run(
    spec: str | Path | None = None, *, root: Path | None = None, with_paths: bool = False
) -> Run:
    """The run called `spec`, at the path `spec`, or the newest one for None.

    Args:
        spec: Name or folder of a run, or None.
        root: Folder of all runs; `runs_root()` if not given.
        with_paths: Whether the newest run must be a decoupled one, as plain networks have no paths.

    Raises:
        PathLensError: If there is no such run; the nearest names are listed.
    """
    base = runs_root() if root is None else root
    if spec is None:
        runs = [run for run in all_runs(base) if not with_paths or run.plain is False]
        if not runs:
            kind = "decoupled run" if with_paths else "run"
            raise PathLensError(
                f"There is no {kind} under {base}/ yet: train one with "
                "`pathlens train MODEL --data DATA`."
            )
        return runs[0]
    for folder in (base / str(spec), Path(spec)):
        if (folder / "config.json").is_file():
            return Run(folder)
    raise unknown("run", str(spec), [run.name for run in all_runs(base)])


_SAME_IMAGES = ("model", "width", "data", "data_seed", "limit", "view")
_SAME_TRAINING = ("weights", "start_from", "epochs", "batch_size", "seed")


def plain_twin(run: Run) -> Run | None:
    """The finished plain run to compare a decoupled run with; None if there is none.

    It knows the same network and images. One trained equally is preferred, then the one that the
    run started from, then any.
    """
    mine = run.config

    def rank(other: Run) -> tuple[int, int]:
        theirs = other.config
        equal = sum(theirs.get(key) == mine.get(key) for key in _SAME_TRAINING)
        return equal if equal == len(_SAME_TRAINING) else 0, other.name == mine.get("start_from")

    twins = [
        other
        for other in all_runs(run.folder.parent)
        if other.plain
        and other.finished
        and all(other.config.get(key) == mine.get(key) for key in _SAME_IMAGES)
    ]
    return max(twins, key=rank) if twins else None


ALTERED = "altered.json"
"""Stands in a recording whose images were attacked or otherwise altered, and says how."""


def recordings_of(run: Run) -> list[Path]:
    """Folders of a run's finished recordings of images as they are, the newest first."""
    return _unaltered(run.folder.glob("recordings/*/recording.json"))


def find_recording(spec: str | Path | None = None, *, root: Path | None = None) -> Path:
    """Folder of the recording at the path `spec`, or of the newest finished one for None.

    The newest is one of images as they are: nobody who attacked some images means those when asking
    for a report.

    Raises:
        PathLensError: If there is none.
    """
    if spec is not None:
        folder = Path(spec)
        if folder.is_dir():
            return folder
        raise PathLensError(
            f"There is no recording folder {folder}: make one with `pathlens record`."
        )
    base = runs_root() if root is None else root
    manifests = list(base.glob("*/recordings/*/recording.json"))
    found = _unaltered(manifests)
    if found:
        return found[0]
    if manifests:
        raise PathLensError(
            f"All recordings under {base}/ are of altered images: name one, or record the images as "
            "they are with `pathlens record`."
        )
    raise PathLensError(
        f"There is no finished recording under {base}/ yet: make one with `pathlens record`."
    )


def _unaltered(manifests: Iterable[Path]) -> list[Path]:
    """Folders of recordings without those of altered images, the newest first."""
    mine = [path for path in manifests if not (path.parent / ALTERED).is_file()]
    mine.sort(key=lambda path: (path.stat().st_mtime, str(path)), reverse=True)
    return [path.parent for path in mine]
