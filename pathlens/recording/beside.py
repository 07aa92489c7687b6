"""What lies beside a finished recording: tables about it, keyed by its hash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pathlens.errors import PathLensError

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording.reader import Recording

PATH_SWAPS = "path_swaps.csv"
"""What another path costs; a row a condition and layer."""
ABLATIONS = "ablations.csv"
"""What forcing gates costs; a row a set of filters."""
EXAMPLES = "examples.json"
"""A few explained images: the filters whose ablation changes their decision."""
CONFIRMATIONS = "confirmations.csv"
"""Which questions the confirmation images have answered; a row a split and question."""
COMBINATIONS = "combinations.csv"
"""What masks and ablation say of combinations; a row a combination, concept and question."""
OVERLAYS = "combination_overlays.json"
"""A few pictures of where a combination responds, with the outline of its concept."""

_WORDS = (
    *("set", "filters", "class", "mode", "effect", "measure", "condition", "layer", "recording"),
    *("combination", "concept", "question", "ablation_note"),
)
"""Columns of text in any of the tables."""


def read_beside(source: Recording, name: str) -> pd.DataFrame | None:
    """The rows of a table beside a recording that are about it; None if there are none.

    Rows about another recording, which lay in the same folder before, are not returned.

    Args:
        source: The recording.
        name: File name of the table.

    Raises:
        PathLensError: If the file is no table with a column `recording`.
    """
    import pandas as pd

    path = source.folder / name
    if not path.exists():
        return None
    try:
        # A class may be called NA, and a set 3.
        words = dict.fromkeys(_WORDS, str)
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=words)
        own = table[table["recording"] == source.hash]
    except (OSError, ValueError, KeyError) as error:
        raise PathLensError(
            f"{path} is no table about a recording: move it away and measure again with "
            f"`pathlens {'associate' if name == COMBINATIONS else 'probe'}`."
        ) from error
    return None if own.empty else own.drop(columns="recording").reset_index(drop=True)


def read_examples(source: Recording) -> list[dict[str, Any]] | None:
    """The explained images beside a recording; None if there are none about it.

    Raises:
        PathLensError: If the file is damaged.
    """
    return _read_entries(source, EXAMPLES, "images", "pathlens probe")


def read_overlays(source: Recording) -> list[dict[str, Any]]:
    """The pictures of combinations beside a recording, an entry a combination, concept and question.

    Each has layer (its name), combination, concept, question and images: a list of image (its id) and
    picture (a JPEG, base64).

    Raises:
        PathLensError: If the file is damaged.
    """
    return _read_entries(source, OVERLAYS, "combinations", "pathlens associate --masks") or []


def _read_entries(
    source: Recording, name: str, key: str, command: str
) -> list[dict[str, Any]] | None:
    """A list in a JSON file beside a recording; None if there is none about it."""
    path = source.folder / name
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries: list[dict[str, Any]] = content[key]
        return entries if content["recording"] == source.hash else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PathLensError(f"{path} is damaged: make it again with `{command}`.") from error
