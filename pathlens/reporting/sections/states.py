"""Filter states over depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.sections.base import Columns, Context, Named, PageImages, Section

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import FilterStates


class States(Section["FilterStates"]):
    """Which filters are always, sometimes or never on."""

    name = "states"
    kind = "filter states"
    columns: ClassVar[Columns] = {
        "filter_states": ("layer", "name", "filter", "rate", "state"),
        "states_by_layer": (
            *("layer", "name", "filters", "high_energy", "mute", "dynamic"),
            *("density", "share_dynamic"),
        ),
    }

    def steps(self, layers: int) -> int:
        """One for all layers."""
        return 1

    def find(self, context: Context) -> FilterStates:
        """Count the images of every filter."""
        from pathlens.analysis import filter_states

        context.step("filter states")
        return filter_states(context.recording, [layer.name for layer in context.layers])

    def results(self, found: FilterStates) -> Iterator[Named]:
        """One result for all layers."""
        yield Named("filter states", "filter_states", found)

    def tables(self, found: FilterStates) -> dict[str, pd.DataFrame]:
        """Filters one by one, and layers."""
        return {"filter_states": found.frame, "states_by_layer": found.by_layer}

    def data(self, found: FilterStates, page: PageImages) -> Any:
        """The states of filters stand with the layers, which all scripts read."""
        return {"images": found.images}
