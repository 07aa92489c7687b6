"""Joining shards that were recorded into different folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pathlens.errors import PathLensError
from pathlens.files import write_bytes
from pathlens.recording.listing import PartEntry, read_listing, read_marker
from pathlens.recording.manifest import CONCEPTS, MANIFEST, Plan, part_name
from pathlens.recording.parts import PartFault
from pathlens.recording.whole import whole_part
from pathlens.recording.writer import RecordingWriter

if TYPE_CHECKING:
    from pathlens.recording.reader import Recording


def merge(folders: Sequence[str | Path], out: str | Path | None = None) -> Recording:
    """Join shards of one recording, as `pathlens record --shard K/N` leaves them.

    Parts are copied, and every page of them is read before; the folders are left as they are. An
    interrupted merge goes on where it stopped when it is called again.

    Args:
        folders: Folders of the shards; one alone is a shared folder in which nobody has finished.
        out: Folder of the whole recording; the first of `folders` if not given.

    Raises:
        PathLensError: If a folder holds no shard or one of another recording, two folders hold
            different versions of a part, or parts are missing.
    """
    places = [Path(folder) for folder in folders]
    if not places:
        raise PathLensError("There is nothing to merge: give the folders of the shards.")
    target = places[0] if out is None else Path(out)
    plan = _common_plan(places)
    found = _find_parts(places, plan)
    missing = sorted(set(range(plan.parts)) - set(found))
    if missing:
        raise PathLensError(
            f"{len(missing)} of {plan.parts} parts are in none of these folders or are damaged, the "
            f"first being {part_name(missing[0])}: run the shard that it belongs to again."
        )
    with RecordingWriter(target, plan) as writer:
        for index in writer.missing_parts():
            place, entry = found[index]
            writer.take_part(index, entry, place)
        _take_concepts(places, target)
        return writer.finish()


def _common_plan(places: Sequence[Path]) -> Plan:
    first = _plan_of(places[0])
    for place in places[1:]:
        other = _plan_of(place)
        if other != first:
            raise PathLensError(
                f"{place} holds shards of {' and '.join(first.differences(other))} than "
                f"{places[0]}: merge only shards of one recording."
            )
    return first


def _plan_of(place: Path) -> Plan:
    finished = (place / MANIFEST).exists()
    plan = read_listing(place)[1].plan if finished else read_marker(place)
    if plan is None:
        raise PathLensError(
            f"{place} holds no shard of a recording: give folders that `pathlens record --shard` "
            "has made."
        )
    return plan


def _find_parts(places: Sequence[Path], plan: Plan) -> dict[int, tuple[Path, PartEntry]]:
    """Where each part stands whole; equal copies, as an interrupted merge leaves them, are one."""
    found: dict[int, tuple[Path, PartEntry]] = {}
    for place in places:
        for index in range(plan.parts):
            try:
                entry = whole_part(place, plan, index)
            except PartFault:
                continue
            earlier, known = found.setdefault(index, (place, entry))
            if known != entry:
                raise PathLensError(
                    f"{earlier} and {place} both hold {part_name(index)}, and not the same one: "
                    "leave one of the folders out, or record that shard again."
                )
    return found


def _take_concepts(places: Sequence[Path], target: Path) -> None:
    for place in places:
        if place != target and (place / CONCEPTS).exists() and not (target / CONCEPTS).exists():
            write_bytes(target / CONCEPTS, (place / CONCEPTS).read_bytes())
