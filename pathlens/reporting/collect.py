"""Running every analysis that the report shows, and keeping the reason where one cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pathlens.errors import PathLensError
from pathlens.layers import Layer

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import Associations, ClassPaths, FilterStates, PathClusters, PathMap
    from pathlens.recording import Recording

T = TypeVar("T")

MANY_LAYERS = 3
"""From more layers than this on, maps and clusters are drawn from `IMAGES_OF_MANY` images each."""
IMAGES_OF_MANY = 1000
IMAGES_OF_FEW = 2000


@dataclass(frozen=True)
class Gap:
    """An analysis that could not be done.

    Attributes:
        reason: One sentence that says why, and what to do where something can be done.
    """

    reason: str


@dataclass(frozen=True)
class LayerFindings:
    """What was found in one layer; a `Gap` stands where an analysis could not be done."""

    layer: Layer
    class_paths: ClassPaths | Gap
    clusters: PathClusters | Gap
    path_map: PathMap | Gap


@dataclass(frozen=True)
class Findings:
    """All results of a report.

    Attributes:
        states: Filter states of the chosen layers.
        network: Class paths over all layers of the network.
        layers: What was found layer by layer, in running order.
        associations: Combinations of filters against concepts, all chosen layers in one family.
        images_a_layer: Largest number of images a layer that maps and clusters are made from.
    """

    states: FilterStates
    network: ClassPaths | Gap
    layers: tuple[LayerFindings, ...]
    associations: Associations | Gap
    images_a_layer: int


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


def steps_needed(layers: int) -> int:
    """Number of times that `collect` calls `step`."""
    return 3 + 3 * layers


def collect(
    recording: Recording,
    layers: list[Layer],
    concepts: pd.DataFrame | None,
    *,
    seed: int,
    step: Callable[[str], None],
) -> Findings:
    """Run all analyses.

    Args:
        recording: The recording.
        layers: Layers to look at.
        concepts: Columns image, concept, value; None to test classes only.
        seed: Of everything that is drawn by chance.
        step: Called before each analysis with what it is, for a progress bar; `steps_needed` times.
    """
    from pathlens import analysis

    names = [layer.name for layer in layers]
    images = IMAGES_OF_MANY if len(layers) > MANY_LAYERS else IMAGES_OF_FEW
    step("filter states")
    states = analysis.filter_states(recording, names)
    step("class paths, whole network")
    network = attempt(lambda: analysis.class_paths(recording, None))
    found = tuple(_look_at(recording, layer, images, seed, step) for layer in layers)
    step("associations")
    associations = attempt(
        lambda: analysis.associations(recording, names, concepts, seed=seed),
    )
    return Findings(states, network, found, associations, images)


def _look_at(
    recording: Recording, layer: Layer, images: int, seed: int, step: Callable[[str], None]
) -> LayerFindings:
    from pathlens import analysis

    name = layer.name
    step(f"class paths, layer {layer.index}")
    paths = attempt(lambda: analysis.class_paths(recording, name))
    step(f"clusters, layer {layer.index}")
    clusters = attempt(
        lambda: analysis.path_clusters(recording, name, seed=seed, max_images=images)
    )
    step(f"map, layer {layer.index}")
    path_map = attempt(lambda: analysis.path_map(recording, name, seed=seed, max_images=images))
    return LayerFindings(layer, paths, clusters, path_map)
