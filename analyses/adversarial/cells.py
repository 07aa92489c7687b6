"""What is attacked with what: the cells of adaptive.toml, and the attack of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from guards import Guard

from pathlens.attacking import ProjectedGradient
from pathlens.attacking.adaptive_gradient import AdaptiveGradient
from pathlens.attacking.adaptive_search import AdaptiveSearch
from pathlens.attacking.alteration import Alteration

PLAIN, SUM, ORTHOGONAL, TRANSFER, SEARCH = "plain PGD", "sum", "orthogonal", "transfer", "search"


@dataclass(frozen=True)
class Cell:
    """One attack on one detector, or on the network alone."""

    target: str
    form: str
    radius: float
    images: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of its file."""
        words = (
            self.target.replace(" + ", "+"),
            self.form.replace(" ", "-"),
            f"{self.radius:g}",
            f"{self.images}",
        )
        return "-".join(filter(None, words)) + ".npz"


def planned(study: Mapping[str, Any], only: Sequence[str] = ()) -> Iterator[Cell]:
    """All cells, those of the network alone first; `only` some detectors where they are named."""
    everyone, gradient = study["images"], study["gradient"]
    effort = {"steps": gradient["steps"], "runs": gradient["runs"]}
    for radius in study["radii"]:
        yield Cell("", PLAIN, radius, everyone, {"steps": gradient["steps"]})
    cells = [
        Cell(target, form, radius, everyone, effort)
        for target in gradient["targets"]
        for form in gradient["forms"]
        for radius in study["radii"]
    ]
    transfer, search = study["transfer"], study["search"]
    cells += [
        Cell(target, TRANSFER, radius, everyone, {**effort, "through": through})
        for target, through in transfer["through"].items()
        for radius in transfer["radii"]
    ]
    fewer = min(search["images"], everyone)
    cells += [
        Cell(target, SEARCH, radius, fewer, {"queries": search["queries"]})
        for target in search["targets"]
        for radius in search["radii"]
    ]
    yield from (cell for cell in cells if not only or cell.target in only)


def attack_of(cell: Cell, guards: Mapping[str, Guard], share: float) -> Alteration:
    """The attack of a cell; `share` is that of the false alarms at the threshold to stay under."""
    epsilon = cell.radius / 255
    if cell.form == PLAIN:
        return ProjectedGradient("linf", epsilon, steps=cell.settings["steps"])
    through = cell.settings.get("through")
    followed = guards[cell.target].at(share) if through is None else guards[through].innocent
    threshold = cast(float, followed.threshold)
    print_of = guards[through or cell.target].fingerprint
    known = (followed, epsilon, cell.target, threshold, print_of)
    if cell.form == SEARCH:
        return AdaptiveSearch(*known, queries=cell.settings["queries"])
    form = cast(Literal["sum", "orthogonal"], SUM if cell.form == TRANSFER else cell.form)
    effort = {name: cell.settings[name] for name in ("steps", "runs")}
    return AdaptiveGradient(*known, form=form, **effort)


def named(study: Mapping[str, Any], only: Sequence[str] = ()) -> list[str]:
    """The detectors that are attacked or stand in, each once."""
    found: dict[str, None] = {}
    for cell in planned(study, only):
        found |= {name: None for name in (cell.target, cell.settings.get("through")) if name}
    return list(found)
