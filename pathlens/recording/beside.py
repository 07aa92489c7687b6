"""What lies beside a finished recording: tables about it, keyed by its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pathlens.errors import PathLensError

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording.reader import Recording

PATH_SWAPS = "path_swaps.csv"
"""What another path costs; a row a condition and layer."""
ABLATIONS = "ablations.csv"
"""What forcing gates costs; a row a set of filters."""


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
        table = pd.read_csv(path)
        own = table[table["recording"] == source.hash]
    except (ValueError, KeyError) as error:
        raise PathLensError(
            f"{path} is no table about a recording: move it away and measure again with "
            "`pathlens probe`."
        ) from error
    return None if own.empty else own.drop(columns="recording").reset_index(drop=True)
