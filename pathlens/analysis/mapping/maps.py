"""Maps: images laid out so that those with alike paths lie together (t-SNE, UMAP)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.drawing import class_marks, empty_figure, house_style, new_figure, plain_text
from pathlens.analysis.mapping.map_quality import kept_by_chance, neighbours_kept
from pathlens.analysis.mapping.methods import MapMethod, map_method
from pathlens.analysis.neighbours import nearest
from pathlens.analysis.results import Result, plural
from pathlens.analysis.source import (
    Bits,
    Floats,
    Ints,
    PathData,
    choose_layers,
    codes_of,
    describe_layers,
    gather_bits,
    grouping,
    require_images,
    sample_rows,
)
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST_PATHS = 5
NAMED_CLASSES = 24
METHOD_NAMES = {"tsne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True)
class PathMap(Result):
    """A two-dimensional map of the paths of images.

    Attributes:
        frame: A row an image: image, x, y, label and prediction (positions among the classes, -1
            if unknown), copies (images, of those looked at, that share its path and so its place).
            Empty where there are too few unique paths for a map.
        neighbours_kept: Share of each path's 10 nearest paths on the map that are among its 10
            nearest by Hamming distance (ties with the tenth count), averaged over unique paths.
        neighbours_by_chance: The same for a map with its places dealt out at random.
        unique_paths: Number of different paths.
        classes: Class names that `label` and `prediction` point into.
        title: The layers, in words.
        left_out: Images that were not looked at.
        method: Name of the method that drew it.
        layers: The layers whose gates it shows.
        paths: bool (unique paths, filters of these layers), the paths on the map.
        places: float64 (unique paths, 2), where they lie.
    """

    frame: pd.DataFrame = field(repr=False)
    neighbours_kept: float
    neighbours_by_chance: float
    unique_paths: int
    classes: tuple[str, ...] = field(repr=False)
    title: str
    left_out: str
    method: str
    layers: tuple[Layer, ...] = field(repr=False)
    paths: Bits = field(repr=False)
    places: Floats = field(repr=False)

    def summary(self) -> str:
        """How many paths the map shows, and how far its neighbourhoods can be trusted."""
        if self.frame.empty:
            return (
                f"There is no map of {self.title}: its images take only "
                f"{plural(self.unique_paths, 'different path')}, and a map needs {FEWEST_PATHS}."
            )
        return (
            f"The {METHOD_NAMES[self.method]} map of {self.title} shows "
            f"{plural(self.unique_paths, 'different path')} of "
            f"{plural(len(self.frame), 'image')}; {self.neighbours_kept:.0%} of the nearest "
            f"neighbours on it are nearest neighbours in path space "
            f"({self.neighbours_by_chance:.0%} by chance)."
        )

    def place(self, new: PathData | npt.NDArray[Any]) -> pd.DataFrame:
        """Place other images on this map, which stays as it is.

        An image whose path is on the map lies where that path lies, and one path has one place,
        whatever else is placed with it. How a path that is new finds its place is up to the method:
        t-SNE lets the map attract and repel it, UMAP takes the median of its nearest paths' places.

        Args:
            new: A recording with the layers of the map, or bool (images, filters): their gates side by
                side.

        Returns:
            A row an image: image (its id, or its row number), x, y, apart (filters in which its path
            differs from the nearest path on the map, 0 where it is on it: far from all means that the
            place says little).

        Raises:
            PathLensError: If there is no map, or the layers or filters are not those of the map.
        """
        if self.frame.empty:
            raise PathLensError(
                f"Nothing can be placed: {self.summary()[:1].lower()}{self.summary()[1:]}"
            )
        bits, images = self._gates(new)
        places, apart = self._places(bits)
        return pd.DataFrame({"image": images, "x": places[:, 0], "y": places[:, 1], "apart": apart})

    def _gates(self, new: PathData | npt.NDArray[Any]) -> tuple[Bits, Any]:
        """Gates of new images in the layers of the map, and what the images are called."""
        if isinstance(new, np.ndarray):
            if new.dtype != np.bool_ or new.ndim != 2 or new.shape[1] != self.paths.shape[1]:
                raise PathLensError(
                    f"The map shows {self.paths.shape[1]} filters and was given an array {new.dtype} "
                    f"{new.shape}: give bool (images, {self.paths.shape[1]})."
                )
            return new, np.arange(len(new))
        filters = {layer.name: layer.filters for layer in new.layers}
        for layer in self.layers:
            if filters.get(layer.name) != layer.filters:
                raise PathLensError(
                    f"The recording to place has no layer {layer.name} with {layer.filters} filters: "
                    "record it with the network that the map was drawn for."
                )
        rows = np.arange(len(new.images), dtype=np.int64)
        return gather_bits(new, self.layers, rows), new.images["image"].to_numpy()

    def _places(self, bits: Bits) -> tuple[Floats, Ints]:
        """Place of each path, and how many filters it is away from the map's nearest."""
        if not len(bits):
            return np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
        unique, which, _ = unique_rows(bits)
        apart, neighbours = (found[:, 0] for found in nearest(self.paths, unique, 1, threads=1))
        places = self.places[neighbours]
        if (apart > 0).any():
            strange = apart > 0
            method = map_method(self.method)
            places[strange] = method.place(unique[strange], self.paths, self.places)
        return places[which], apart[which]

    def plot(self) -> Figure:
        """Scatter of the images: colour and marker = class, size = images with that path."""
        title = f"{METHOD_NAMES[self.method]} map of the paths in {self.title}"
        if self.frame.empty:
            return empty_figure(title, self.summary())
        with house_style():
            figure = new_figure(7.2, 5.2)
            axes = figure.add_subplot()
            self._points(axes)
            axes.set(xticks=[], yticks=[], aspect="equal")
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.set_title(title)
        return figure

    def _points(self, axes: Axes) -> None:
        """One scatter a class, in an order that lets no class cover the others systematically."""
        column = "label" if (self.frame["label"] >= 0).any() else "prediction"
        paths = self.frame.drop_duplicates(["x", "y", column])
        present = sorted(set(paths[column]))
        for code in present:
            part = paths[paths[column] == code]
            colour, marker = class_marks(int(code)) if code >= 0 else ("#9AA0A6", "o")
            axes.scatter(
                part["x"],
                part["y"],
                s=14 * np.sqrt(part["copies"]),
                c=colour,
                marker=marker,
                alpha=0.75,
                linewidths=0,
                label=plain_text(self.classes[code], 24) if code >= 0 else "class unknown",
            )
        if len(present) <= NAMED_CLASSES:
            heading = {"label": "class", "prediction": "predicted class"}[column]
            legend = axes.legend(
                loc="center left",
                bbox_to_anchor=(1.0, 0.5),
                title=heading,
                alignment="left",
                markerscale=1.5,
            )
            for handle in legend.legend_handles:
                if handle is not None:
                    handle.set_alpha(1.0)


def path_map(
    data: PathData,
    layer: LayerSpec | None = None,
    *,
    seed: int = 0,
    max_images: int = 2000,
    method: str = "tsne",
) -> PathMap:
    """Lay out the unique paths of a layer by their Hamming distance, in two dimensions.

    Images with the same path share one place. Neighbours are found exactly, and the layout starts from
    principal components; it repeats exactly, whatever the number of threads. Distances between groups
    on a map and the sizes of groups mean little: read neighbourhoods, and only as far as
    `neighbours_kept` goes.

    Args:
        data: A recording.
        layer: Number, name or glob; None for the whole network.
        seed: Seed of the sample of images and of the layout.
        max_images: Images looked at, at most.
        method: "tsne" or "umap", as `map_methods` describes them. The first umap in a process takes
            about a minute longer, to compile.

    Raises:
        PathLensError: If a layer or the method is unknown, or the recording holds no images.
    """
    layout = map_method(method)
    layers = choose_layers(data, layer)
    rows, unseen = sample_rows(require_images(data), max_images, seed)
    paths, which, copies = unique_rows(gather_bits(data, layers, rows))
    enough = len(paths) >= FEWEST_PATHS
    places = _laid_out(layout, paths, seed) if enough else np.zeros((len(paths), 2))
    frame = pd.DataFrame(
        {
            "image": data.images["image"].to_numpy()[rows],
            "x": places[which, 0],
            "y": places[which, 1],
            "label": codes_of(data, "label", rows),
            "prediction": codes_of(data, "prediction", rows),
            "copies": copies[which],
        }
    )
    groups = grouping(data)
    return PathMap(
        frame=frame if enough else frame.iloc[:0],
        neighbours_kept=neighbours_kept(paths, places) if enough else float("nan"),
        neighbours_by_chance=kept_by_chance(paths, places, seed) if enough else float("nan"),
        unique_paths=len(paths),
        classes=_all_classes(data, groups.names if groups else ()),
        title=describe_layers(data, layers),
        left_out=unseen,
        method=method,
        layers=tuple(layers),
        paths=paths,
        places=places,
    )


def unique_rows(bits: Bits) -> tuple[Bits, Ints, Ints]:
    """Different rows, the position of each row among them, and how often each occurs."""
    packed = np.packbits(bits, axis=1)
    _, first, which, copies = np.unique(
        packed, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    return bits[first], which.reshape(-1), copies


def _laid_out(method: MapMethod, paths: Bits, seed: int) -> Floats:
    from threadpoolctl import threadpool_limits

    # Sums over threads come in another order with another number of threads.
    with threadpool_limits(1):
        return method.lay_out(paths, seed)


def _all_classes(data: PathData, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names for every label and prediction that occurs."""
    highest = max(
        (int(data.images[c].fillna(-1).max()) for c in ("label", "prediction") if c in data.images),
        default=-1,
    )
    return names + tuple(f"class {i}" for i in range(len(names), highest + 1))
