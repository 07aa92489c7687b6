"""How associations are searched and tested: the options, and which of them make sense."""

from __future__ import annotations

from dataclasses import dataclass

from pathlens.analysis.associating.corrections import CORRECTIONS
from pathlens.errors import PathLensError


@dataclass(frozen=True)
class Options:
    """Options of `associations`, which says what they mean."""

    seed: int
    max_size: int
    top: int
    level: float
    resamples: int
    quality: str
    min_support: int | None
    beam: int | None
    correction: str
    sequence: bool | None
    threshold: float | None

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            PathLensError: If an option is out of range or unknown.
        """
        for wrong, sentence in (
            (
                self.max_size < 1,
                f"max_size is {self.max_size}: combinations have at least 1 filter.",
            ),
            (self.top < 1, f"top is {self.top}: ask for at least 1 combination."),
            (
                not 0 < self.level < 1,
                f"level is {self.level}: give a number between 0 and 1, such as 0.05.",
            ),
            (
                self.resamples < 0,
                f"resamples is {self.resamples}: give 0 (no intervals) or more.",
            ),
            (
                self.correction not in CORRECTIONS,
                f"correction is {self.correction!r}: it is one of {', '.join(CORRECTIONS)}.",
            ),
            (
                self.threshold is not None and not 0 <= self.threshold < 1,
                f"threshold is {self.threshold}: values are from 0 to 1, and an image has a concept "
                "above it.",
            ),
        ):
            if wrong:
                raise PathLensError(sentence)
