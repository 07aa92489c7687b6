"""The recording: every path of a dataset under one checkpoint, in Parquet; no torch to read it.

The names below are imported when first used, so that importing the room costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlens.recording.importing import write_recording
    from pathlens.recording.manifest import Plan
    from pathlens.recording.merging import merge
    from pathlens.recording.parts import PartRows
    from pathlens.recording.reader import Recording, open_recording
    from pathlens.recording.writer import RecordingWriter

__all__ = [
    "PartRows",
    "Plan",
    "Recording",
    "RecordingWriter",
    "merge",
    "open_recording",
    "write_recording",
]

_HOME = {
    "PartRows": "parts",
    "Plan": "manifest",
    "Recording": "reader",
    "RecordingWriter": "writer",
    "merge": "merging",
    "open_recording": "reader",
    "write_recording": "importing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
