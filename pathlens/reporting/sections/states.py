"""Filter states: over depth, against the number of images, and class by class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import (
    Columns,
    Context,
    Gap,
    Named,
    PageImages,
    Section,
    attempt,
)
from pathlens.reporting.sections.codes import by_code, drawn

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import FilterStates
    from pathlens.analysis.states.class_states import ClassStates
    from pathlens.analysis.states.state_curves import StateCurves

_COUNTED = ["filters", "high_energy", "mute", "dynamic"]
SPECIALISTS = 40
"""Specialists in the page's table, at most; the CSV has all."""


@dataclass(frozen=True)
class StateFindings:
    """States over all images, against the number of images, and within classes."""

    states: FilterStates
    curves: StateCurves | Gap
    classes: ClassStates | Gap
    codes: pd.DataFrame


class States(Section[StateFindings]):
    """Which filters are always, sometimes or never on."""

    name = "states"
    kind = "filter states"
    columns: ClassVar[Columns] = {
        "filter_states": ("layer", "name", "filter", "rate", "rate_low", "rate_high", "state"),
        "states_by_layer": (
            *("layer", "name", "filters", "high_energy", "mute", "dynamic"),
            *("density", "share_dynamic"),
        ),
        "states_by_code": ("code", "layer", "name", "filters", "high_energy", "mute", "dynamic"),
        "state_curves": (
            *("layer", "name", "images", "high_energy", "mute", "dynamic"),
            "expected_dynamic",
        ),
        "specialists": ("layer", "name", "filter", "classes", "rate", "images", "chance"),
    }

    def steps(self, layers: int) -> int:
        """Four for all layers."""
        return 4

    def find(self, context: Context) -> StateFindings:
        """Count the images of every filter, over all, over parts of them, and in each class."""
        from pathlens.analysis.states.class_states import class_states
        from pathlens.analysis.states.filter_states import filter_states
        from pathlens.analysis.states.state_curves import state_curves

        recording, names = context.recording, [layer.name for layer in context.layers]
        context.step("filter states")
        states = filter_states(recording, names)
        context.step("filter states against images")
        curves = attempt(lambda: state_curves(recording, names, seed=context.seed))
        context.step("filter states in classes")
        classes = attempt(lambda: class_states(recording, names, seed=context.seed))
        context.step("filter states of other codes")
        codes = by_code(context, lambda data: filter_states(data, names).by_layer)
        return StateFindings(states, curves, classes, codes)

    def results(self, found: StateFindings) -> Iterator[Named]:
        """The three results."""
        yield Named("filter states", "filter_states", found.states)
        yield Named("filter states against images", "state_curves", found.curves)
        yield Named("filter states in classes", "class_states", found.classes)

    def tables(self, found: StateFindings) -> dict[str, pd.DataFrame]:
        """Filters one by one, layers, curves, and filters that few classes use."""
        import pandas as pd

        states, curves, classes = found.states, found.curves, found.classes
        none = pd.DataFrame()
        return {
            "filter_states": states.frame,
            "states_by_layer": states.by_layer,
            "states_by_code": found.codes,
            "state_curves": none if isinstance(curves, Gap) else curves.frame,
            "specialists": none if isinstance(classes, Gap) else _told(classes),
        }

    def data(self, found: StateFindings, page: PageImages) -> Any:
        """Curves and specialists; the states themselves stand with the layers."""
        curves, classes = found.curves, found.classes
        return {
            "curves": {"gap": curves.reason} if isinstance(curves, Gap) else _curves(curves),
            "classes": {"gap": classes.reason} if isinstance(classes, Gap) else _classes(classes),
            "codes": drawn(_over_layers(found.codes), ["code", *_COUNTED]),
        }


def _over_layers(codes: pd.DataFrame) -> pd.DataFrame:
    """The counts of each code over all layers shown."""
    return codes.groupby("code", sort=False)[_COUNTED].sum().reset_index()


def _told(classes: ClassStates) -> pd.DataFrame:
    table = classes.specialists
    return table.assign(classes=[", ".join(names) for names in table["classes"]])


def _curves(found: StateCurves) -> dict[str, Any]:
    keys = ("images", "high_energy", "mute", "dynamic")
    return {
        **{key: [finite(value, 4) for value in found.network[key]] for key in keys},
        "summary": found.summary(),
    }


def _classes(found: ClassStates) -> dict[str, Any]:
    rows = _told(found).head(SPECIALISTS)
    keys = ["layer", "filter", "classes", "rate", "images", "chance"]
    return {
        "rows": [[finite(value, 3) for value in row] for row in rows[keys].itertuples(index=False)],
        "total": len(found.specialists),
        "summary": found.summary(),
    }
