"""What a report was made from: the same again need not be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathlens.recording.beside import (
    ABLATIONS,
    COMBINATIONS,
    CONFIRMATIONS,
    EXAMPLES,
    OVERLAYS,
    PATH_SWAPS,
)
from pathlens.recording.manifest import CONCEPTS

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.layers import Layer
    from pathlens.recording import Recording

_ROOMS = ("pathlens.analysis", "pathlens.recording", "pathlens.reporting")
_BESIDE = (PATH_SWAPS, ABLATIONS, EXAMPLES, COMBINATIONS, OVERLAYS, CONCEPTS)


def fingerprint(
    recording: Recording,
    layers: Sequence[Layer],
    *,
    concepts: pd.DataFrame | None,
    baselines: Mapping[str, Recording],
    hierarchy: str | Path | None,
    plain: Mapping[str, Any] | None,
    seed: int,
) -> str:
    """SHA-256 of what decides what a report says, the analyses' own code included.

    The ledger is apart (`with_ledger`), as the report itself writes into it.

    Args:
        recording: The recording; what was measured beside it counts, too.
        layers: Layers that are shown.
        concepts: The concept table.
        baselines: Recordings that stand beside, by name.
        hierarchy: File of a class hierarchy.
        plain: What is known of the plain network.
        seed: Of everything that is drawn by chance.
    """
    said = {
        "code": _code(),
        "recording": recording.hash,
        "beside": {name: _of_file(recording.folder / name) for name in _BESIDE},
        "layers": [layer.name for layer in layers],
        "concepts": None if concepts is None else _of(concepts.to_csv(index=False).encode()),
        "baselines": {name: other.hash for name, other in baselines.items()},
        "hierarchy": None if hierarchy is None else _of_file(Path(hierarchy)),
        "plain": None if plain is None else {key: plain[key] for key in sorted(plain)},
        "seed": seed,
    }
    return _of(json.dumps(said, sort_keys=True, default=str).encode())


def with_ledger(inputs: str, recording: Recording) -> str:
    """The fingerprint together with what the confirmation images have been asked by now."""
    return _of(f"{inputs} {_of_file(recording.folder / CONFIRMATIONS)}".encode())


def is_current(report: Path, inputs: str) -> bool:
    """Whether the report in a folder was made from these inputs, and is still there."""
    from pathlens.reporting.tables import COLUMNS

    try:
        numbers = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    whole = (report / "index.html").is_file() and (report / "figures").is_dir()
    tables = all((report / "tables" / f"{name}.csv").is_file() for name in COLUMNS)
    return whole and tables and isinstance(numbers, dict) and numbers.get("inputs") == inputs


def _code() -> str:
    """Digest of the sources of the rooms that make reports."""
    digest = hashlib.sha256()
    for room in _ROOMS:
        root = Path(str(resources.files(room)))
        for path in sorted(x for x in root.rglob("*") if x.is_file() and x.suffix != ".pyc"):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _of_file(path: Path) -> str | None:
    return _of(path.read_bytes()) if path.is_file() else None


def _of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
