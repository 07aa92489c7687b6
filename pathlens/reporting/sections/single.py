"""Sections that ask one question of the whole recording."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.sections.base import Context, Gap, Named, PageImages, Section, attempt

if TYPE_CHECKING:
    import pandas as pd


class SingleSection(Section[Any]):
    """A section with one result, or a `Gap`, whose frame is its table.

    Attributes:
        file: What its table and its figure are called.
    """

    file: ClassVar[str]

    def steps(self, layers: int) -> int:
        """One for the whole."""
        return 1

    def find(self, context: Context) -> Any:
        """The result, or why there is none."""
        context.step(self.kind)
        return attempt(lambda: self.look(context))

    def results(self, found: Any) -> Iterator[Named]:
        """The one result."""
        yield Named(self.kind, self.file, found)

    def tables(self, found: Any) -> dict[str, pd.DataFrame]:
        """The result's frame."""
        import pandas as pd

        return {self.file: pd.DataFrame() if isinstance(found, Gap) else found.frame}

    def data(self, found: Any, page: PageImages) -> dict[str, Any]:
        """What the script draws, and what the result says; or the gap."""
        if isinstance(found, Gap):
            return {"gap": found.reason}
        return {
            **self.drawn(found),
            "summary": found.summary(),
            "left_out": found.left_out,
        }

    @abstractmethod
    def look(self, context: Context) -> Any:
        """The result or a `Gap`; a `PathLensError` becomes a gap, too."""

    @abstractmethod
    def drawn(self, found: Any) -> dict[str, Any]:
        """What the script draws of the result."""
