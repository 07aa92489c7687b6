"""Two dendrograms face to face, and how their distances go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pathlens.analysis.baselines import OWN
from pathlens.analysis.drawing import FAINT, INK, PALETTE, house_style, new_figure, plain_text
from pathlens.analysis.source import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.analysis.classes.hierarchy import HierarchyComparison

_NAMED = 60


def draw_comparison(found: HierarchyComparison) -> Figure:
    """Dendrogram of class paths, that of the hierarchy, a point a pair of classes, and depth."""
    depths = found.by_layer["layer"].nunique() > 1
    classes = len(found.classes)
    with house_style():
        figure = new_figure(13.5 if depths else 10.6, float(np.clip(0.26 * classes + 1.2, 3.6, 12)))
        widths = [1, 0.9, 1, 1.7] + [1.7] * depths
        left, links, right, scatter, *depth = figure.subplots(1, len(widths), width_ratios=widths)
        order = _leaves(found.linkage)
        turned = _turned(found.hierarchy_linkage, np.argsort(order))
        _draw_tree(left, found.linkage, mirrored=False)
        _draw_tree(right, turned, mirrored=True)
        _draw_links(links, found.classes, order, _leaves(turned))
        left.set_title("class paths")
        right.set_title("hierarchy", loc="right")
        _draw_pairs(scatter, found)
        for axes in depth:
            _draw_depth(axes, found)
        named = "" if found.by == "label" else " (classes as predicted)"
        figure.suptitle(
            f"Class paths of {plain_text(found.title, 60)} and the class hierarchy{named}",
            x=0.01,
            ha="left",
            size=10,
            weight="bold",
        )
    return figure


def _leaves(linkage: Floats) -> Ints:
    from scipy.cluster.hierarchy import leaves_list

    return np.asarray(leaves_list(linkage), dtype=np.int64)


def _turned(linkage: Floats, places: Ints) -> Floats:
    """The same tree with its branches turned so that leaves come near to `places`."""
    turned = linkage.copy()
    sums, sizes = [float(place) for place in places], [1] * len(places)
    for row in turned:
        left, right = int(row[0]), int(row[1])
        if sums[left] / sizes[left] > sums[right] / sizes[right]:
            row[0], row[1] = right, left
        sums.append(sums[left] + sums[right])
        sizes.append(sizes[left] + sizes[right])
    return turned


def _draw_tree(axes: Axes, linkage: Floats, mirrored: bool) -> None:
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(linkage, no_plot=True)
    for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        axes.plot(heights, np.asarray(places) / 10, color=INK, linewidth=0.9)
    axes.set_ylim(len(linkage) + 1, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1.04 * max(float(linkage[:, 2].max()), 1e-9))
    axes.locator_params(axis="x", nbins=3)
    if not mirrored:
        axes.invert_xaxis()
    axes.set_xlabel("distance")


def _draw_links(axes: Axes, classes: tuple[str, ...], left: Ints, right: Ints) -> None:
    """Names on both sides, a line from each class to itself."""
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(len(classes), 0))
    there = np.argsort(right)
    step = max(1, -(-len(classes) // _NAMED))
    size = 8 if len(classes) <= 25 else 6
    for place, leaf in enumerate(left):
        ends = (place + 0.5, int(there[leaf]) + 0.5)
        colour = FAINT if ends[0] == ends[1] else PALETTE[5]
        axes.plot((0.37, 0.63), ends, color=colour, linewidth=1.4 / step**0.7, zorder=0)
        name = plain_text(classes[leaf], 14)
        if place % step == 0:
            axes.text(0.35, ends[0], name, ha="right", va="center", size=size)
        if there[leaf] % step == 0:
            axes.text(0.65, ends[1], name, ha="left", va="center", size=size)


def _draw_pairs(axes: Axes, found: HierarchyComparison) -> None:
    row = found.frame.iloc[0]
    many = len(found.pairs) > 2000
    axes.plot(
        found.pairs["hierarchy"],
        found.pairs["cophenetic"],
        "o",
        color=PALETTE[0],
        markersize=2 if many else 4.5,
        alpha=0.25 if many else 0.6,
        markeredgewidth=0,
        # So many points would make a vector file of megabytes.
        rasterized=many,
    )
    axes.set_xlabel("distance in the hierarchy")
    axes.set_ylabel("cophenetic distance of class paths")
    axes.set_title(f"pairs: r = {row['pearson']:.2f}, p = {row['p']:.2g}")


def _draw_depth(axes: Axes, found: HierarchyComparison) -> None:
    """Correlation by layer, paths bold, filled where p corrected over layers is at most 0.05."""
    for place, (code, part) in enumerate(found.by_layer.groupby("code", sort=False)):
        own = code == OWN
        axes.plot(
            part["layer"],
            part["pearson"],
            "o-" if own else ("s--", "^:", "D-.")[place % 3],
            color=PALETTE[place % len(PALETTE)],
            linewidth=2 if own else 1,
            markersize=4,
            markerfacecolor="white",
            label=plain_text(str(code), 24),
        )
        sure = part[part["p_holm"] <= 0.05]
        axes.plot(
            sure["layer"],
            sure["pearson"],
            ("o" if own else "s^D"[place % 3]),
            color=PALETTE[place % len(PALETTE)],
            markersize=4,
        )
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("layer (filled: p ≤ 0.05, Holm)")
    axes.set_title("r by layer")
    axes.legend(loc="best")
