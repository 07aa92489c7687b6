"""Class paths: which classes travel together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pathlens.reporting.encode import finite, packed_shares
from pathlens.reporting.sections.base import (
    Columns,
    Context,
    Gap,
    Named,
    PageImages,
    Section,
    attempt,
    layer_label,
    stacked,
)
from pathlens.reporting.sections.codes import by_code, drawn

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import ClassPaths

CLASSES_DRAWN = 120
"""Similarities of more classes than this are not drawn, only written to tables and figures."""


@dataclass(frozen=True)
class ClassFindings:
    """Class paths over the whole network, and of each layer by its number."""

    network: ClassPaths | Gap
    layers: dict[int, ClassPaths | Gap]
    codes: pd.DataFrame | Gap


class Classes(Section[ClassFindings]):
    """How often each class has each gate on, and how alike classes are in that."""

    name = "classes"
    kind = "class paths"
    columns: ClassVar[Columns] = {
        "class_paths": ("layer", "class", "filter", "rate"),
        "class_similarity": ("code", "layer", "name", "dynamic", "similarity", "chance"),
    }

    def steps(self, layers: int) -> int:
        """One a layer and two for the network."""
        return layers + 2

    def find(self, context: Context) -> ClassFindings:
        """The whole network first, then layer by layer."""
        from pathlens.analysis import class_paths

        context.step("class paths, whole network")
        network = attempt(lambda: class_paths(context.recording, None))
        layers = {}
        for layer in context.layers:
            context.step(f"class paths, layer {layer.index}")
            layers[layer.index] = attempt(partial(class_paths, context.recording, layer.name))
        context.step("class paths of other codes")
        codes = attempt(lambda: by_code(context, lambda data: class_paths(data, None).by_layer))
        return ClassFindings(network, layers, codes)

    def results(self, found: ClassFindings) -> Iterator[Named]:
        """The network's, then the layers'."""
        yield Named("class paths, whole network", "class_paths_network", found.network)
        for index, result in found.layers.items():
            yield Named(f"class paths, layer {index}", f"class_paths_{layer_label(index)}", result)

    def tables(self, found: ClassFindings) -> dict[str, pd.DataFrame]:
        """Rates by layer, class and filter."""
        import pandas as pd

        codes = found.codes
        return {
            "class_paths": stacked(found.layers.items()),
            "class_similarity": pd.DataFrame() if isinstance(codes, Gap) else codes,
        }

    def data(self, found: ClassFindings, page: PageImages) -> dict[str, Any]:
        """Similarities and trees."""
        return {
            "network": _drawn(found.network) | {"codes": _similarities(found.codes, None)},
            "layers": [
                _drawn(result) | {"codes": _similarities(found.codes, index)}
                for index, result in found.layers.items()
            ],
        }


def _similarities(codes: pd.DataFrame | Gap, layer: int | None) -> list[list[Any]]:
    """Of each code the mean similarity of two classes, and by chance, in a layer or over all."""
    if isinstance(codes, Gap):
        return []
    if layer is not None:
        return drawn(codes[codes["layer"] == layer], ["code", "similarity", "chance"])
    # A layer counts as often as it has dynamic filters, as it does in the network's similarity.
    weighted = codes[["similarity", "chance"]].mul(codes["dynamic"], axis=0)
    total = weighted.groupby(codes["code"], sort=False).sum()
    filters = codes.groupby("code", sort=False)["dynamic"].sum()
    return drawn(total.div(filters, axis=0).reset_index(), ["code", "similarity", "chance"])


def _drawn(found: ClassPaths | Gap) -> dict[str, Any]:
    """Similarity of classes, packed row by row, with the tree that groups them."""
    if isinstance(found, Gap):
        return {"gap": found.reason}
    names = [str(name) for name in found.similarity.index]
    if len(names) > CLASSES_DRAWN:
        return {
            "gap": f"{len(names)} classes are too many to draw here: "
            "see tables/class_paths.csv and the figures beside this page."
        }
    position = {name: at for at, name in enumerate(names)}
    return {
        "names": names,
        "by": found.by,
        "chance": finite(found.chance, 4),
        "similarity": packed_shares(found.similarity.to_numpy(dtype=float)),
        "linkage": [[finite(value) for value in row] for row in np.asarray(found.linkage)],
        "order": [position[str(name)] for name in found.order],
        "summary": found.summary(),
        "left_out": found.left_out,
    }
