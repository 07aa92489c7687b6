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

_WORDS = ("set", "filters", "class", "mode", "effect", "measure", "condition", "layer", "recording")
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
            "`pathlens probe`."
        ) from error
    return None if own.empty else own.drop(columns="recording").reset_index(drop=True)


def read_examples(source: Recording) -> list[dict[str, Any]] | None:
    """The explained images beside a recording; None if there are none about it.

    Raises:
        PathLensError: If the file is damaged.
    """
    path = source.folder / EXAMPLES
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images: list[dict[str, Any]] = content["images"]
        return images if content["recording"] == source.hash else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PathLensError(f"{path} is damaged: make it again with `pathlens probe`.") from error
