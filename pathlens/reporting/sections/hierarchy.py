"""Whether classes travel together as a given hierarchy groups them."""

from __future__ import annotations

from collections.abc import Iterator
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

    from pathlens.analysis.classes.hierarchy import HierarchyComparison

_COLUMNS = ("code", "pearson", "spearman", "p", "p_spearman", "null_95", "direct", "fit")


class Hierarchy(Section["HierarchyComparison | Gap"]):
    """The dendrogram of class paths against a class hierarchy."""

    name = "hierarchy"
    kind = "class hierarchy"
    columns: ClassVar[Columns] = {"class_hierarchy": _COLUMNS}

    def steps(self, layers: int) -> int:
        """One for the whole network."""
        return 1

    def find(self, context: Context) -> HierarchyComparison | Gap:
        """Compare with the hierarchy given, or with WordNet's where the classes are CIFAR-10's."""
        from pathlens.analysis.classes.class_hierarchies import cifar10_hierarchy
        from pathlens.analysis.classes.hierarchy import compare_with_hierarchy

        context.step("class hierarchy")
        hierarchy: Any = context.hierarchy
        if hierarchy is None:
            hierarchy = cifar10_hierarchy()
            if set(context.recording.classes) != set(hierarchy.index):
                return Gap(
                    "No class hierarchy was given: name a file (class by superclass, 0 or 1) with "
                    "`pathlens report --hierarchy FILE`."
                )
        return attempt(
            lambda: compare_with_hierarchy(
                context.recording, hierarchy, baselines=context.baselines, seed=context.seed
            )
        )

    def results(self, found: HierarchyComparison | Gap) -> Iterator[Named]:
        """One result."""
        yield Named("class hierarchy", "class_hierarchy", found)

    def tables(self, found: HierarchyComparison | Gap) -> dict[str, pd.DataFrame]:
        """Correlations by code."""
        import pandas as pd

        return {"class_hierarchy": pd.DataFrame() if isinstance(found, Gap) else found.frame}

    def data(self, found: HierarchyComparison | Gap, page: PageImages) -> dict[str, Any]:
        """The rows, and what the result says."""
        if isinstance(found, Gap):
            return {"gap": found.reason}
        keys = ["code", "pearson", "spearman", "p", "null_95"]
        rows = found.frame[keys].itertuples(index=False)
        return {
            "rows": [[finite(value, 3) for value in row] for row in rows],
            "summary": found.summary(),
        }
