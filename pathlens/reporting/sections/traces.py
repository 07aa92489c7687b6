"""How each class travels through the network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
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

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis.tracing.trace_result import Trace

CLASSES = 20
"""Classes that are traced, at most: those with most images."""
LEVEL = 0.05
"""Corrected p below which a filter or a link holds."""

TraceFindings = dict[str, Any]
"""The `Trace` (or `Gap`) of each class by its name; without classes one gap under ""."""


class Traces(Section[TraceFindings]):
    """Which filters set a class apart, layer by layer, and which go together."""

    name = "traces"
    kind = "traces"
    columns: ClassVar[Columns] = {
        "trace_filters": (
            *("class", "layer", "name", "filter", "rate_in", "rate_out", "difference", "low"),
            *("high", "p_corrected"),
        ),
        "trace_links": (
            *("class", "layer", "filter", "next_layer", "next_filter", "images", "together"),
            *("expected", "lift", "phi", "p_corrected"),
        ),
        "trace_scores": (
            *("code", "class", "filters", "tested_filters", "links", "tested_links"),
            *("top_difference", "chance_mean", "chance_95", "p"),
        ),
    }

    def steps(self, layers: int) -> int:
        """One for all classes."""
        return 1

    def find(self, context: Context) -> TraceFindings:
        """Trace the largest classes through the whole network, whatever layers are shown."""
        from pathlens.analysis.tracing.trace import trace

        context.step("traces")
        names = _largest(context.recording)
        if not names:
            return {"": Gap("Neither labels nor predictions are known: no class can be traced.")}
        follow = partial(trace, context.recording, seed=context.seed, baselines=context.baselines)
        return {name: attempt(partial(follow, name)) for name in names}

    def results(self, found: TraceFindings) -> Iterator[Named]:
        """The classes' results; figures are numbered, as a class may be called anything."""
        for number, (name, result) in enumerate(found.items(), start=1):
            yield Named(f"trace of {name}" if name else "traces", f"trace_{number:02d}", result)

    def tables(self, found: TraceFindings) -> dict[str, pd.DataFrame]:
        """Filters that were chosen, links between them, and how both stand against chance."""
        import pandas as pd

        traces = [each for each in found.values() if not isinstance(each, Gap)]
        if not traces:
            return {name: pd.DataFrame() for name in self.columns}
        parts = {
            "trace_filters": [each.frame[each.frame["chosen"]] for each in traces],
            "trace_links": [each.links for each in traces],
            "trace_scores": [each.scores for each in traces],
        }
        return {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}

    def data(self, found: TraceFindings, page: PageImages) -> dict[str, Any]:
        """Nodes and links of every class."""
        traces = {name: each for name, each in found.items() if not isinstance(each, Gap)}
        if not traces:
            return {"gap": next(iter(found.values())).reason}
        first = next(iter(traces.values()))
        return {
            "layers": [[index, name] for index, name in first.layers.items()],
            "by": first.by,
            "classes": [{"name": name, **_drawn(each)} for name, each in traces.items()],
            "left_out": _left_out(found),
        }


def _largest(recording: Any) -> list[str]:
    """Names of the classes with most images, in the order of the classes."""
    import numpy as np

    from pathlens.analysis.source import grouping

    groups = grouping(recording)
    if groups is None:
        return []
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.names))
    largest = np.argsort(-sizes, kind="stable")[:CLASSES]
    return [groups.names[i] for i in sorted(largest) if sizes[i]]


def _left_out(found: TraceFindings) -> str:
    """That only the largest classes are traced, where there may be more."""
    if len(found) < CLASSES:
        return ""
    return f"classes beyond the {CLASSES} with most images (`pathlens.analysis.trace` follows any)"


def _drawn(found: Trace) -> dict[str, Any]:
    chosen = found.frame[found.frame["chosen"]]
    holding = found.links[found.links["p_corrected"] < LEVEL]
    nodes = chosen[["layer", "filter", "rate_in", "rate_out", "p_corrected"]]
    links = holding[["layer", "filter", "next_layer", "next_filter", "phi"]]
    return {
        "nodes": [[finite(value, 3) for value in row] for row in nodes.itertuples(index=False)],
        "links": [[finite(value, 3) for value in row] for row in links.itertuples(index=False)],
        "scores": [
            {key: finite(value, 3) for key, value in row.items()}
            for row in found.scores.to_dict("records")
        ],
        "images": found.images,
        "summary": found.summary(),
    }
