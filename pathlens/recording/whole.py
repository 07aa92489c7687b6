"""Whether a part that no manifest lists yet is whole."""

from __future__ import annotations

from pathlib import Path

from pathlens.recording.listing import FileEntry, PartEntry
from pathlens.recording.manifest import Plan, part_name, thumbnails_name
from pathlens.recording.parts import PartFault, read_columns, read_footer


def whole_part(folder: Path, plan: Plan, index: int) -> PartEntry:
    """Read every page of a part and of its thumbnails, and hash them.

    Raises:
        PartFault: If one is missing, damaged, or of another recording or part.
    """
    path = folder / part_name(index)
    footer = read_footer(path, plan, index)
    read_columns(path)
    thumbnails = None
    if plan.thumbnails:
        beside = folder / thumbnails_name(index)
        if read_footer(beside, plan, index) != footer:
            raise PartFault("has thumbnails of other rows")
        read_columns(beside)
        thumbnails = FileEntry.of_file(beside)
    return PartEntry(FileEntry.of_file(path), footer.rows, len(footer.skipped), thumbnails)
