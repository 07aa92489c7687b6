"""What a section of the report is: analyses, the tables, figures and page data made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pathlens.errors import PathLensError
from pathlens.layers import Layer

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis.results import Result
    from pathlens.recording import Recording

F = TypeVar("F")
T = TypeVar("T")
Columns = Mapping[str, tuple[str, ...]]
"""Columns of tables, by the table's name."""


FAILED, PENDING, UNASKED = "failed", "pending", "unasked"


@dataclass(frozen=True)
class Gap:
    """An analysis that was not done.

    Attributes:
        reason: One sentence that says why, and what to do where something can be done.
        state: `FAILED`; `PENDING` if nobody has measured it yet; `UNASKED` if nobody wants it.
    """

    reason: str
    state: str = FAILED


@dataclass(frozen=True)
class Context:
    """What every section may look at.

    Attributes:
        recording: The recording.
        layers: Layers to look at.
        concepts: Columns image, concept, value; None to test classes only.
        baselines: Recordings of other codes of the same images, by name.
        hierarchy: A class hierarchy, or the file of one; None for none.
        seed: Of everything that is drawn by chance.
        images: Largest number of images a layer that maps and clusters are made from.
        step: Called before each analysis with what it is, for a progress bar.
    """

    recording: Recording
    layers: Sequence[Layer]
    concepts: pd.DataFrame | None
    baselines: Mapping[str, Recording]
    hierarchy: str | Path | pd.DataFrame | None
    seed: int
    images: int
    step: Callable[[str], None] = field(repr=False)


@dataclass(frozen=True)
class Named:
    """One result of a section.

    Attributes:
        said: What sentences call it ("map, layer 3").
        file: Name of its figure, without ending.
        result: The result, or why there is none.
    """

    said: str
    file: str
    result: Result | Gap


@dataclass(frozen=True)
class PageImages:
    """The images that the page shows, and where it keeps them.

    Attributes:
        number: Position on the page by image id.
    """

    number: Mapping[str, int]

    def known(self, images: Iterable[Any]) -> list[int]:
        """Positions of those images that the page shows."""
        return [self.number[str(image)] for image in images if str(image) in self.number]


class Section(ABC, Generic[F]):
    """One question of the report: what it computes, and how it is told.

    Attributes:
        name: Its name among the findings and in the page's data; also of its script and template.
        kind: What notes about what was left out call it.
        columns: Columns of each of its tables, by the table's name.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    columns: ClassVar[Columns] = {}

    @abstractmethod
    def steps(self, layers: int) -> int:
        """How often `find` calls `step` for so many layers."""

    @abstractmethod
    def find(self, context: Context) -> F:
        """Run the analyses."""

    @abstractmethod
    def results(self, found: F) -> Iterator[Named]:
        """Every result with its names: figures are drawn of them, gaps and omissions told."""

    @abstractmethod
    def data(self, found: F, page: PageImages) -> Any:
        """What the section's script draws from: plain values, packed small."""

    def tables(self, found: F) -> dict[str, pd.DataFrame]:
        """Its tables by name; columns that are missing stay empty."""
        return {}

    def images(self, found: F) -> Iterable[str]:
        """Ids of the images whose pictures it shows, the most important first."""
        return ()

    def numbers(self, found: F) -> dict[str, Any]:
        """What it adds to the summary of the report."""
        return {}


def attempt(analysis: Callable[[], T]) -> T | Gap:
    """The result, or the reason why there is none; an empty result gives its own summary."""
    try:
        result = analysis()
    except PathLensError as error:
        return Gap(str(error))
    frame = getattr(result, "frame", None)
    if frame is not None and not len(frame):
        return Gap(str(result.summary()))  # type: ignore[attr-defined]
    return result


def measured(recording: Recording, file: str, read: Callable[[], T]) -> T | Gap:
    """What lies measured beside a recording; a gap that is no failure where nothing does.

    Args:
        recording: The recording.
        file: Name of the table beside it.
        read: Reads it.

    Raises:
        PathLensError: If the table is there and cannot be read.
    """
    from pathlens.recording.beside import read_beside

    try:
        return read()
    except PathLensError as error:
        if read_beside(recording, file) is None:
            return Gap(str(error), PENDING)
        raise


def layer_label(index: int) -> str:
    """How files call a layer."""
    return f"layer{index:02d}"


def stacked(parts: Iterable[tuple[int, Any]], attribute: str = "frame") -> pd.DataFrame:
    """The named frames of all results that are there, with the layer's number as a column."""
    import pandas as pd

    frames = [
        getattr(result, attribute).assign(layer=layer)
        for layer, result in parts
        if not isinstance(result, Gap)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
