"""In which order associations are looked at where there is no room for all."""

from __future__ import annotations

import pandas as pd


def in_turn(rows: pd.DataFrame) -> pd.DataFrame:
    """Associations in the order in which they are shown and measured.

    First the strongest by phi that says more than any single filter of its layer, if there is one; then
    of every concept its strongest, then the second of each, and so on. Rows without phi come last.

    Args:
        rows: Rows of `Associations.frame`, each under an index of its own.
    """
    ranked = rows.sort_values("phi", ascending=False, kind="stable")
    gaining = ranked[ranked["gain_ci_low"] > 0]
    first = gaining.index[:1] if len(gaining) else ranked.index[:1]
    turn = ranked.drop(index=first).groupby("concept", sort=False).cumcount()
    order = turn.sort_values(kind="stable").index
    return ranked.loc[[*first, *order]]
