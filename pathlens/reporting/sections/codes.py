"""The same counts for the codes that stand beside the paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pathlens.analysis.baselines import matched
from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Context

if TYPE_CHECKING:
    import pandas as pd


def by_code(context: Context, look: Callable[[Any], pd.DataFrame]) -> pd.DataFrame:
    """Tables of the paths and of every baseline, one under the other, with a column `code`.

    Args:
        context: The recording and its baselines.
        look: From a recording, or a baseline on its images, to a table.
    """
    import pandas as pd

    codes = matched(context.recording, context.baselines)
    parts = [look(data).assign(code=name) for name, data in codes.items()]
    return pd.concat(parts, ignore_index=True)


def drawn(table: pd.DataFrame, columns: list[str]) -> list[list[Any]]:
    """Rows of some columns as the page's scripts read them."""
    rows = table[columns].itertuples(index=False)
    return [[finite(value, 4) for value in row] for row in rows]
