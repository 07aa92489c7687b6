"""What all results of analyses share: a table, a figure, a sentence, and showing themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Result(ABC):
    """A frozen result of one analysis.

    Attributes:
        frame: Tidy table; its columns are documented by each result.
        left_out: What the analysis did not look at, or the empty string.
    """

    frame: pd.DataFrame
    left_out: str

    @abstractmethod
    def plot(self) -> Figure:
        """Draw the result as one matplotlib figure (also where it is empty)."""

    @abstractmethod
    def summary(self) -> str:
        """Say the result in one or two sentences, with its numbers."""

    def _repr_html_(self) -> str:
        """What Jupyter shows: sentence, what was left out, figure, first rows."""
        from pathlens.analysis.display import result_html

        return result_html(self)


def join_notes(notes: Iterable[str]) -> str:
    """Put what was left out into one line; empty notes vanish."""
    return "; ".join(note for note in notes if note)


def plural(count: int, noun: str, many: str = "") -> str:
    """A count with its noun, as a sentence says it: "1 image", "1,200 images"."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
