"""Whether classes travel together as a given hierarchy groups them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import UNASKED, Columns, Context, Gap
from pathlens.reporting.sections.single import SingleSection

if TYPE_CHECKING:
    from pathlens.analysis.classes.hierarchy import HierarchyComparison

_COLUMNS = ("code", "pearson", "spearman", "p", "p_spearman", "null_95", "direct", "fit")


class Hierarchy(SingleSection):
    """The dendrogram of class paths against a class hierarchy."""

    name = "hierarchy"
    kind = "class hierarchy"
    file = "class_hierarchy"
    columns: ClassVar[Columns] = {"class_hierarchy": _COLUMNS}

    def look(self, context: Context) -> HierarchyComparison | Gap:
        """Compare with the hierarchy given, or with WordNet's where the classes are CIFAR-10's."""
        from pathlens.analysis.classes.class_hierarchies import cifar10_hierarchy
        from pathlens.analysis.classes.hierarchy import compare_with_hierarchy

        hierarchy: Any = context.hierarchy
        if hierarchy is None:
            hierarchy = cifar10_hierarchy()
            if set(context.recording.classes) != set(hierarchy.index):
                return Gap(
                    "No class hierarchy was given: name a file (class by superclass, 0 or 1) with "
                    "`pathlens report --hierarchy FILE`.",
                    UNASKED,
                )
        return compare_with_hierarchy(
            context.recording, hierarchy, baselines=context.baselines, seed=context.seed
        )

    def drawn(self, found: HierarchyComparison) -> dict[str, Any]:
        """The correlations of each code."""
        keys = ["code", "pearson", "spearman", "p", "null_95"]
        rows = found.frame[keys].itertuples(index=False)
        return {"rows": [[finite(value, 3) for value in row] for row in rows]}
