"""Maps: images laid out so that those with alike paths lie together (t-SNE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import class_marks, empty_figure, house_style, new_figure, plain_text
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
    hamming_counts,
    require_images,
    sample_rows,
)
from pathlens.errors import unknown
from pathlens.layers import LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST_PATHS = 5
NEIGHBOURS = 10
NAMED_CLASSES = 24


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
    """

    frame: pd.DataFrame = field(repr=False)
    neighbours_kept: float
    neighbours_by_chance: float
    unique_paths: int
    classes: tuple[str, ...] = field(repr=False)
    title: str
    left_out: str

    def summary(self) -> str:
        """How many paths the map shows, and how far its neighbourhoods can be trusted."""
        if self.frame.empty:
            return (
                f"There is no map of {self.title}: its images take only "
                f"{plural(self.unique_paths, 'different path')}, and a map needs {FEWEST_PATHS}."
            )
        return (
            f"The map of {self.title} shows {plural(self.unique_paths, 'different path')} of "
            f"{plural(len(self.frame), 'image')}; {self.neighbours_kept:.0%} of the nearest "
            f"neighbours on it are nearest neighbours in path space "
            f"({self.neighbours_by_chance:.0%} by chance)."
        )

    def plot(self) -> Figure:
        """Scatter of the images: colour and marker = class, size = images with that path."""
        title = f"Map of the paths in {self.title}"
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
    """Lay out the unique paths of a layer by t-SNE on their Hamming distance.

    On 0/1 rows the squared Euclidean distance that t-SNE's affinities are made of (van der Maaten &
    Hinton 2008) is the number of filters in which two paths differ. Images with the same path share
    one place. The layout starts from principal components, so that it repeats exactly.

    Args:
        data: A recording.
        layer: Number, name or glob; None for the whole network.
        seed: Seed of the sample of images and of the layout.
        max_images: Images looked at, at most.
        method: "tsne".

    Raises:
        PathLensError: If a layer or the method is unknown, or the recording holds no images.
    """
    if method != "tsne":
        raise unknown("map method", method, ["tsne"])
    layers = choose_layers(data, layer)
    rows, unseen = sample_rows(require_images(data), max_images, seed)
    paths, place, copies = unique_rows(gather_bits(data, layers, rows))
    enough = len(paths) >= FEWEST_PATHS
    layout = _tsne(paths, seed) if enough else np.zeros((len(paths), 2))
    frame = pd.DataFrame(
        {
            "image": data.images["image"].to_numpy()[rows],
            "x": layout[place, 0],
            "y": layout[place, 1],
            "label": codes_of(data, "label", rows),
            "prediction": codes_of(data, "prediction", rows),
            "copies": copies[place],
        }
    )
    groups = grouping(data)
    return PathMap(
        frame=frame if enough else frame.iloc[:0],
        neighbours_kept=_neighbours_kept(paths, layout) if enough else float("nan"),
        neighbours_by_chance=_by_chance(paths, layout, seed) if enough else float("nan"),
        unique_paths=len(paths),
        classes=_all_classes(data, groups.names if groups else ()),
        title=describe_layers(data, layers),
        left_out=unseen,
    )


def unique_rows(bits: Bits) -> tuple[Bits, Ints, Ints]:
    """Different rows, the position of each row among them, and how often each occurs."""
    packed = np.packbits(bits, axis=1)
    _, first, place, copies = np.unique(
        packed, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    return bits[first], place.reshape(-1), copies


def _tsne(paths: Bits, seed: int) -> Floats:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(paths) - 1) / 3)
    # Sums over threads come in another order with another number of threads.
    with threadpool_limits(1):
        layout = TSNE(
            init="pca", metric="euclidean", perplexity=perplexity, random_state=seed
        ).fit_transform(paths.astype(np.float32))
    return np.asarray(layout, dtype=np.float64)


def _neighbours_kept(paths: Bits, layout: Floats) -> float:
    """Share of the nearest on the map that are among the nearest paths; ties count as near."""
    from scipy.spatial.distance import cdist

    count = min(NEIGHBOURS, len(paths) - 1)
    true = hamming_counts(paths)
    np.fill_diagonal(true, np.inf)
    drawn = cdist(layout, layout)
    np.fill_diagonal(drawn, np.inf)
    furthest = np.partition(true, count - 1, axis=1)[:, count - 1]
    nearest = np.argpartition(drawn, count - 1, axis=1)[:, :count]
    kept = np.take_along_axis(true, nearest, axis=1) <= furthest[:, None]
    return float(kept.mean())


def _by_chance(paths: Bits, layout: Floats, seed: int) -> float:
    return _neighbours_kept(paths, np.random.default_rng(seed).permutation(layout))


def _all_classes(data: PathData, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names for every label and prediction that occurs."""
    highest = max(
        (int(data.images[c].fillna(-1).max()) for c in ("label", "prediction") if c in data.images),
        default=-1,
    )
    return names + tuple(f"class {i}" for i in range(len(names), highest + 1))
