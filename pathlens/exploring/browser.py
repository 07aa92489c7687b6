"""Browse a recording in Jupyter: layer, filter, images; a still page where widgets are missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pathlens.analysis.results import plural
from pathlens.analysis.source import PathData
from pathlens.errors import PathLensError
from pathlens.exploring.cards import filter_card, image_card, layer_table, picture_strips
from pathlens.exploring.controls import Controls
from pathlens.exploring.explorer import Explorer
from pathlens.layers import LayerSpec
from pathlens.recording import open_recording

INSTALL = 'pip install "pathlens[notebook]"'
_NEEDED = ("layers", "images", "bits")


@dataclass(frozen=True, eq=False)
class Browser:
    """Shows itself in Jupyter: as a widget, or as a still page where ipywidgets is missing.

    Attributes:
        explorer: What is chosen; change it from Python before the widget is shown.
        source: What is browsed, in words.
    """

    explorer: Explorer = field(repr=False)
    source: str

    @cached_property
    def controls(self) -> Controls:
        """The widget, `.controls.box`, and its parts.

        Raises:
            PathLensError: If ipywidgets is not installed.
        """
        if not _has_widgets():
            raise PathLensError(f"The widget needs ipywidgets: install it with `{INSTALL}`.")
        return Controls(self.explorer)

    def _repr_html_(self) -> str:
        """All layers, and the chosen filter with its images: nothing to click."""
        at = self.explorer
        missing = "" if _has_widgets() else f" To browse, install <code>{INSTALL}</code>."
        said = f"{plural(at.images, 'image')}, {plural(len(at.by_layer), 'layer')}.{missing}"
        path = at.path
        shown = "" if path is None else image_card(path, at.facts, at.filter)
        return (
            f"<div><p>{said}</p>{layer_table(at.by_layer, at.facts.layer.index)}<br>"
            f"{filter_card(at.facts, at.filter)}{picture_strips(at.pictures, at.image)}{shown}</div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The widget where there are widgets, the still page beside it for where there are none."""
        shown = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if _has_widgets():
            shown = {**self.controls.box._repr_mimebundle_(), **shown}
        return shown


def browse(
    recording: str | Path | PathData, *, layer: LayerSpec | None = None, images: int = 6
) -> Browser:
    """Browse a recording in a notebook: choose a layer, a filter, an image.

    Shows of a filter its state, its on-rate with an interval, its rates in the classes and how far
    they spread beside chance, whether it runs in one or two classes only, and its top and bottom
    images (as `pathlens.analysis.filter_images` ranks them); of an image, its path in the layer
    beside its class.

    Args:
        recording: A recording, or its folder.
        layer: Number, name or glob of the layer to begin with; None for the last.
        images: Images shown a side, at most.

    Raises:
        PathLensError: If it is no recording, holds no images or no such layer.
    """
    data = open_recording(recording) if isinstance(recording, str | Path) else recording
    if not all(hasattr(data, name) for name in _NEEDED):
        raise PathLensError(
            f"{type(recording).__name__} is nothing to browse: give a recording or its folder."
        )
    source = str(getattr(data, "folder", type(data).__name__))
    return Browser(Explorer(data, layer, images), source)


def _has_widgets() -> bool:
    return find_spec("ipywidgets") is not None
