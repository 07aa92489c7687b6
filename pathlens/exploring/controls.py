"""The widget: ipywidgets that pass on what is chosen and show what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pathlens.analysis.display import safe_text
from pathlens.errors import PathLensError
from pathlens.exploring.cards import filter_card, image_card, picture_strips, side_heading
from pathlens.exploring.explorer import Explorer

Options = list[tuple[str, int]]
NO_IMAGE = -1
"""Value of the list of images where none is chosen."""

_LONGEST_OPTION = 60


class Controls:
    """Lists to choose from on the left, cards on the right.

    Attributes:
        box: The whole; what a notebook shows.
        layer, order, filter, on_path, image: What is chosen with.
        filter_card, pictures, image_card: HTML of what is chosen.
        message: What went wrong, or nothing.
    """

    def __init__(self, explorer: Explorer) -> None:
        import ipywidgets as widgets

        self._explorer = explorer
        self._showing = False
        wide, plain = {"width": "100%"}, {"description_width": "initial"}
        self.layer = widgets.Dropdown(options=_layers(explorer), layout=wide)
        self.order = widgets.Dropdown(
            options=explorer.orders, description="filters by", layout=wide, style=plain
        )
        self.filter = widgets.Select(rows=16, layout=wide)
        self.on_path = widgets.Checkbox(
            description="only those on the image's path", indent=False, layout=wide
        )
        self.image = widgets.Dropdown(layout=wide)
        self.filter_card, self.pictures = widgets.HTML(), widgets.HTML()
        self.image_card, self.message = widgets.HTML(), widgets.HTML()
        parts = [self.layer, self.order, self.filter, self.on_path]
        left = widgets.VBox(parts, layout={"width": "330px", "flex": "0 0 auto"})
        parts = [self.message, self.filter_card, self.pictures, self.image, self.image_card]
        right = widgets.VBox(parts, layout={"flex": "1 1 400px", "padding": "0 0 0 14px"})
        self.box = widgets.HBox([left, right], layout={"flex_flow": "row wrap"})
        self._show()
        self._listen(self.layer, explorer.choose_layer)
        self._listen(self.order, explorer.choose_order)
        self._listen(self.filter, explorer.choose_filter)
        self._listen(self.on_path, explorer.keep_to_path)
        self._listen(
            self.image, lambda place: explorer.choose_image(None if place == NO_IMAGE else place)
        )

    def _listen(self, control: Any, choose: Callable[[Any], None]) -> None:
        def changed(change: Any) -> None:
            if self._showing or change["new"] is None:
                return  # this change follows from another, which is being shown
            self.message.value = ""
            try:
                choose(change["new"])
                self._show()
            except PathLensError as error:
                self.message.value = f"<b>{safe_text(error, 500)}</b>"

        control.observe(changed, names="value")

    def _show(self) -> None:
        """Make all lists and cards say what is chosen."""
        at = self._explorer
        filters, images = _filters(at), _images(at)
        path = at.path
        self._showing = True
        try:
            self.layer.value, self.order.value = at.facts.layer.index, at.order
            _fill(self.filter, filters, at.filter)
            _fill(self.image, images, NO_IMAGE if at.image is None else at.image)
            self.on_path.value, self.on_path.disabled = at.on_path, path is None
            self.filter_card.value = filter_card(at.facts, at.filter)
            self.pictures.value = picture_strips(at.pictures, at.image)
            shown = "" if path is None else image_card(path, at.facts, at.filter)
            self.image_card.value = shown
        finally:
            self._showing = False


def _fill(control: Any, options: Options, value: int) -> None:
    """Give a list its options and its value; no value where it is not among them."""
    if list(control.options) != options:
        control.options = options
    control.value = value if any(value == one for _, one in options) else None


def _layers(explorer: Explorer) -> Options:
    return [
        (
            _short(
                f"{row['layer']} · {row['share_dynamic']:.0%} of {row['filters']} dynamic · "
                f"{row['name']}"
            ),
            row["layer"],
        )
        for row in explorer.by_layer.to_dict("records")
    ]


def _filters(explorer: Explorer) -> Options:
    spread = bool(explorer.facts.classes)
    return [
        (
            f"{row['filter']} · on {row['rate']:.1%}"
            + (f" · spread {row['spread']:.3f}" if spread else "")
            + (f" · ★ {_short(', '.join(row['specialist']))}" if row["specialist"] else ""),
            row["filter"],
        )
        for row in explorer.listed.to_dict("records")
    ]


def _images(explorer: Explorer) -> Options:
    """The images shown, and before them the chosen one if it is not among these."""
    pictures = explorer.pictures
    options: Options = [("choose an image to see its path", NO_IMAGE)]
    path = explorer.path
    if path is not None and path.position not in set(pictures.frame["position"]):
        options.append((_short(f"still {path.group} · {path.image}"), path.position))
    counts = dict.fromkeys(pictures.frame["side"], 0)
    for row in pictures.frame.to_dict("records"):
        counts[row["side"]] += 1
        heading = side_heading(pictures.strength, row["side"])
        text = f"{heading} {counts[row['side']]} · {row['label']} · {row['image']}"
        options.append((_short(text), row["position"]))
    return options


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_OPTION else text[: _LONGEST_OPTION - 1] + "…"
