"""What stands in a folder that is to be recorded into: nothing, this recording, or something else."""

from __future__ import annotations

from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors
from pathlens.recording.listing import read_listing, read_marker
from pathlens.recording.manifest import LOCK, MANIFEST, MARKER, Plan
from pathlens.recording.parts import read_plan_hash
from pathlens.recording.shards import SHARD_LOCKS

_SCRAP = {LOCK, MARKER, MARKER + ".partial"}
"""What a process killed before its first part can leave in a folder."""


def make_folder(folder: Path) -> None:
    """Make the folder if it is not there.

    Raises:
        PathLensError: If the name is taken by a file, or the folder may not be made.
    """
    try:
        with clear_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PathLensError(
            f"{folder} is not a folder: give another --out to record into."
        ) from error


def check_earlier(folder: Path, plan: Plan) -> None:
    """Refuse a folder in which this recording may not be written.

    Raises:
        PathLensError: If it holds a recording of another plan, or other files.
    """
    earlier = _earlier_plan(folder, plan)
    if earlier is None or earlier == plan:
        return
    state = "a finished" if (folder / MANIFEST).exists() else "an unfinished"
    raise PathLensError(
        f"{folder} holds {state} recording of {' and '.join(plan.differences(earlier))}: "
        "give another --out, or delete that folder."
    )


def _earlier_plan(folder: Path, plan: Plan) -> Plan | None:
    if (folder / MANIFEST).exists():
        try:
            return read_listing(folder)[1].plan
        except PathLensError:
            if not _has_parts_of(folder, plan):
                raise
            return plan
    marked = read_marker(folder)
    if marked is not None:
        return marked
    if _has_parts_of(folder, plan):
        return plan
    if all(path.name in _SCRAP or path.match(SHARD_LOCKS) for path in folder.iterdir()):
        return None
    raise PathLensError(
        f"{folder} is not empty and holds no recording of these images and this "
        "checkpoint: give another --out."
    )


def _has_parts_of(folder: Path, plan: Plan) -> bool:
    return any(read_plan_hash(path) == plan.hash for path in folder.glob("part-*.parquet"))
