"""Recordings of altered images: which stand beside a clean recording, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathlens.errors import PathLensError
from pathlens.files import read_json, write_json
from pathlens.recording.manifest import MANIFEST
from pathlens.recording.reader import Recording, open_recording
from pathlens.runs import ALTERED

ABOUT = ALTERED
"""What was done to the images of a recording; lies beside its parts."""

ATTACK, BENIGN = "attack", "benign"


@dataclass(frozen=True)
class AlteredSets:
    """Recordings of altered images of one network.

    Attributes:
        recordings: Label such as "pgd-linf-8" to its recording.
        benign: Labels of the benign controls; the others are attacks.
    """

    recordings: Mapping[str, Recording] = field(repr=False)
    benign: frozenset[str]

    @property
    def attacks(self) -> list[Recording]:
        """Recordings of attacked images."""
        return [one for label, one in self.recordings.items() if label not in self.benign]


def mark_altered(recording: Recording, about: Mapping[str, Any]) -> None:
    """Say beside a recording what was done to its images.

    Args:
        recording: The recording.
        about: At least `label` and `kind` ("attack" or "benign").
    """
    write_json(recording.folder / ABOUT, {**about, "recording": recording.hash})


def altered_sets(clean: Recording, folders: list[Path] | None = None) -> AlteredSets:
    """The recordings of altered images to hold beside a clean one.

    Args:
        clean: Recording of the clean images.
        folders: Recordings; those in the clean one's folder, of the same checkpoint, if not given.

    Raises:
        PathLensError: If there are none, a folder holds none, or two have the same label.
    """
    given = _beside(clean) if folders is None else [open_recording(each) for each in folders]
    found: dict[str, Recording] = {}
    benign = set()
    for one in given:
        label, kind = _told(one)
        if label in found:
            raise PathLensError(
                f"{found[label].folder} and {one.folder} are both called '{label}': give one of them."
            )
        found[label] = one
        if kind == BENIGN:
            benign.add(label)
    if not found:
        raise PathLensError(
            f"There are no recordings of attacked images beside {clean.folder}: make some with "
            "`pathlens detect attack`."
        )
    return AlteredSets(found, frozenset(benign))


def require_clean(recording: Recording) -> None:
    """Make sure that the images of a recording were not altered.

    Raises:
        PathLensError: If some were.
    """
    table = recording.images
    listed = "attack" in table and bool((table["attack"].fillna("") != "").any())
    if listed or is_altered(recording.folder):
        raise PathLensError(
            f"{recording.folder} holds altered images: give the recording of the clean ones they were "
            "made from."
        )


def is_altered(folder: Path) -> bool:
    """Whether the recording in a folder is said to be of altered images."""
    return (folder / ABOUT).is_file()


def _beside(clean: Recording) -> list[Recording]:
    folders = sorted(path.parent for path in clean.folder.resolve().parent.glob(f"*/{ABOUT}"))
    finished = [open_recording(folder) for folder in folders if (folder / MANIFEST).is_file()]
    mine = clean.manifest.get("checkpoint")
    return [one for one in finished if one.manifest.get("checkpoint") == mine]


def _told(recording: Recording) -> tuple[str, str]:
    path = recording.folder / ABOUT
    if not is_altered(recording.folder):
        raise PathLensError(
            f"{recording.folder} does not say what was done to its images ({ABOUT} is missing): record "
            "altered images with `pathlens detect attack`."
        )
    about = read_json(path)
    if (
        not isinstance(about, dict)
        or about.get("kind") not in (ATTACK, BENIGN)
        or not about.get("label")
        or about.get("recording") != recording.hash
    ):
        raise PathLensError(
            f"{path} is damaged or speaks of another recording: run the same `pathlens detect attack` "
            "again."
        )
    return str(about["label"]), str(about["kind"])
