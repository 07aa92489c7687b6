"""Filling a recording with the parts that it lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pathlens.analysis.results import plural
from pathlens.changes import changes_in_parts
from pathlens.errors import PathLensError
from pathlens.progress import progress_bar
from pathlens.recorder.parts import PartRecorder
from pathlens.recorder.processes import Place, wait_for_others
from pathlens.recording.manifest import Plan
from pathlens.recording.parts import read_columns
from pathlens.recording.reader import Recording
from pathlens.recording.shards import OtherShardsMissingError
from pathlens.recording.writer import RecordingWriter

Say = Callable[[str], None]


def write_missing(
    folder: Path,
    plan: Plan,
    recorder: PartRecorder,
    *,
    place: Place,
    changed: bool,
    progress: bool,
    say: Say,
) -> Recording:
    """Record the parts that are missing or broken, and finish.

    Args:
        folder: Folder of the recording.
        plan: What is to be recorded.
        recorder: Makes the rows of a part.
        place: Which parts this process records.
        changed: Whether parts in which images have changed since are made again.
        progress: Whether to show a progress bar.
        say: Called with each line for the user.

    Raises:
        OtherShardsMissingError: If this was a shard and others are not finished.
        PathLensError: If the folder holds something else or is being written, no image can be
            read, or too many cannot, or the disk is full.
    """
    images = recorder.images
    with RecordingWriter(folder, plan, place.shard) as writer:
        if changed:
            _discard_changed(writer, recorder, say)
        missing = writer.missing_parts()
        there = len(writer.parts) - len(missing)
        if writer.finished:
            say(f"{folder} is finished already: {plural(plan.images, 'image')} of {images.name}.")
            return _finish(writer, place)
        if there:
            say(f"Resuming {folder}: {there} of {len(writer.parts)} parts are there.")
        total = sum(len(plan.part_range(index)) for index in writer.parts)
        with progress_bar(total=total, unit="image", desc="record", shown=progress) as bar:
            bar.update(total - sum(len(plan.part_range(index)) for index in missing))
            for index in missing:
                writer.write_part(index, recorder.part(plan, index, bar.update))
        if len(missing) == plan.parts and not recorder.readable:
            position, reason = next(iter(recorder.loader.failed.items()))
            raise PathLensError(
                f"None of the {plan.images} images can be read, the first being "
                f"{images.ids[position]} ({reason}): check the folder."
            )
        if images.concepts is not None:
            writer.write_concepts(images.concepts)
        recording = _finish(writer, place)
    say(_describe(recording, folder))
    return recording


def _discard_changed(writer: RecordingWriter, recorder: PartRecorder, say: Say) -> None:
    missing = set(writer.missing_parts())
    whole = [index for index in writer.parts if index not in missing]
    changes = changes_in_parts(writer.folder, writer.plan, whole, recorder.images)
    parts = sorted({change.part for change in changes})
    if parts:
        say(
            f"{plural(len(changes), 'image has', 'images have')} changed: "
            f"{plural(len(parts), 'part is', 'parts are')} made again."
        )
    writer.discard(parts)


def _finish(writer: RecordingWriter, place: Place) -> Recording:
    try:
        return writer.finish()
    except OtherShardsMissingError:
        if not place.together:
            raise
        writer.close()
        return wait_for_others(writer.folder)


def _describe(recording: Recording, folder: Path) -> str:
    line = f"{plural(len(recording), 'image')} recorded in {folder}"
    if "label" in recording.listing.plan.columns:
        line += f", accuracy {_right(recording) / len(recording):.2%}"
    return f"{line}{_skipped(recording, folder)}."


def _skipped(recording: Recording, folder: Path) -> str:
    images = recording.skipped["image"]
    if images.empty:
        return ""
    mended = "it is mended, --changed takes it in"
    if len(images) > 1:
        mended = "they are mended, --changed takes them in"
    return (
        f", {plural(len(images), 'unreadable image')} listed in "
        f"{folder / recording.listing.skipped_file.file} (first: {images.iloc[0]}; once {mended})"
    )


def _right(recording: Recording) -> int:
    """Number of images whose prediction is their label, part by part: memory does not grow."""
    right = 0
    for part in recording.listing.parts:
        table = read_columns(recording.folder / part.data.file, ["label", "prediction"])
        right += int((table["label"].to_numpy() == table["prediction"].to_numpy()).sum())
    return right
