"""Running every analysis that the report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathlens.reporting.sections import SECTIONS
from pathlens.reporting.sections.base import Context, Gap, Named

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import FilterStates
    from pathlens.layers import Layer
    from pathlens.recording import Recording

MANY_LAYERS = 3
"""From more layers than this on, maps and clusters are drawn from `IMAGES_OF_MANY` images each."""
IMAGES_OF_MANY = 1000
IMAGES_OF_FEW = 2000


@dataclass(frozen=True)
class Findings:
    """All results of a report.

    Attributes:
        context: What was looked at.
        found: What each section found, by the section's name.
    """

    context: Context
    found: Mapping[str, Any]

    def __getitem__(self, section: str) -> Any:
        return self.found[section]

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers looked at."""
        return self.context.layers

    @property
    def states(self) -> FilterStates:
        """Filter states, which most of the page stands on."""
        states: FilterStates = self.found["states"].states
        return states

    def results(self) -> list[tuple[str, Named]]:
        """Every result with the kind of its section."""
        return [
            (section.kind, named)
            for section in SECTIONS
            for named in section.results(self.found[section.name])
        ]

    def layer_result(self, section: str, layer: Layer) -> Any:
        """The result of a layer in a section that has one a layer; None where it is a gap."""
        found = self.found[section]
        result = (found.layers if section == "classes" else found)[layer.index]
        if isinstance(result, Gap):
            return None
        return result.clusters if section == "clusters" else result


def steps_needed(layers: int) -> int:
    """Number of times that `collect` calls `step`."""
    return sum(section.steps(layers) for section in SECTIONS)


def collect(
    recording: Recording,
    layers: Sequence[Layer],
    concepts: pd.DataFrame | None,
    *,
    baselines: Mapping[str, Recording],
    hierarchy: str | Path | None,
    seed: int,
    step: Callable[[str], None],
) -> Findings:
    """Run all analyses.

    Args:
        recording: The recording.
        layers: Layers to look at.
        concepts: Columns image, concept, value; None to test classes only.
        baselines: Recordings of other codes of the same images, by name.
        hierarchy: File of a class hierarchy; None for none.
        seed: Of everything that is drawn by chance.
        step: Called before each analysis with what it is, for a progress bar; `steps_needed` times.
    """
    images = IMAGES_OF_MANY if len(layers) > MANY_LAYERS else IMAGES_OF_FEW
    context = Context(recording, layers, concepts, baselines, hierarchy, seed, images, step)
    return Findings(context, {section.name: section.find(context) for section in SECTIONS})
