"""Cards of HTML for what is chosen: names are text in them, and every picture lies inside."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.display import LONGEST_TEXT, picture_uri, safe_text
from pathlens.analysis.drawing import PALETTE
from pathlens.analysis.results import plural
from pathlens.analysis.source import Floats
from pathlens.analysis.states.filter_images import SIDES, FilterImages
from pathlens.exploring.image_path import ImagePath
from pathlens.exploring.layer_facts import LayerFacts

MOST_CLASSES = 20
"""Classes with a bar; of more, those with the highest and the lowest rates are drawn."""

_LONGEST_NAME = 28
_UNUSUAL_SHOWN = 5
_BLUE, _ORANGE = PALETTE[0], PALETTE[1]
_LINE = "color-mix(in srgb, currentColor 35%, transparent)"


def layer_table(by_layer: pd.DataFrame, chosen: int) -> str:
    """All layers with the shares of their filters' states; the chosen one is marked."""
    heads = ("layer", "name", "filters", "dynamic", "", "high-energy", "mute", "gates on")
    rows = "".join(_layer_row(row, chosen) for row in by_layer.to_dict("records"))
    return (
        '<div style="overflow:auto;max-height:26em"><table class="dataframe"><thead><tr>'
        f"{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _layer_row(row: Mapping[Hashable, Any], chosen: int) -> str:
    here = row["layer"] == chosen
    cells = (
        f"<td>{'▸ ' * here}{row['layer']}</td>",
        f'<td style="text-align:left">{safe_text(row["name"])}</td>',
        f"<td>{row['filters']}</td><td>{row['share_dynamic']:.0%}</td>",
        f"<td>{_bar(row['share_dynamic'], _BLUE, '6em')}</td>",
        f"<td>{row['high_energy']}</td><td>{row['mute']}</td><td>{row['density']:.0%}</td>",
    )
    weight = "bold" if here else "normal"
    return f'<tr style="font-weight:{weight}">{"".join(cells)}</tr>'


def filter_card(facts: LayerFacts, number: int) -> str:
    """State, rate, spread and class rates of one filter."""
    row = facts.frame.iloc[number]
    layer = facts.layer
    return (
        f'<div style="line-height:1.4"><b>Filter {number} of layer {layer.index}</b> '
        f"({safe_text(layer.name)}): <b>{row['state']}</b>, on for "
        f"{100 * row['rate']:.3g} % [{100 * row['rate_low']:.3g}, {100 * row['rate_high']:.3g}] of "
        f"{plural(facts.images, 'image')}.{_over_classes(row, facts.by)}</div>"
        f"{_class_bars(facts, number)}"
    )


def _over_classes(row: pd.Series, by: str) -> str:
    if not by:
        return " Classes are unknown, so that there are no class rates."
    said = (
        f" Its rates {'in the classes' if by == 'label' else 'in the predicted classes'} spread by "
        f"{row['spread']:.3f} ({row['spread_by_chance']:.3f} if labels were dealt out at random)."
    )
    names = row["specialist"]
    if names:
        listed = " and ".join(safe_text(name, _LONGEST_NAME) for name in names)
        said += f' <b style="color:{_ORANGE}">★ specialist</b>: it runs in {listed} only '
        said += f"(as it would in {row['specialist_chance']:.1%} of permutations of the labels)."
    return said


def _class_bars(facts: LayerFacts, number: int) -> str:
    """Class rates as bars, and a line at the rate over all images."""
    rates = facts.class_rates[number]
    if not len(rates):
        return ""
    shown, left = _classes_shown(rates)
    rows = "".join(
        f'<div style="text-align:right;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
        f"{safe_text(facts.classes[i], _LONGEST_NAME)}</div>"
        f"<div>{_bar(rates[i], _BLUE, '100%', facts.frame['rate'].iloc[number])}</div>"
        f"<div>{rates[i]:.1%}</div>"
        for i in shown
    )
    note = f"; {plural(left, 'class', 'classes')} between them not shown" * bool(left)
    return (
        '<div style="display:grid;grid-template-columns:minmax(5em,11em) minmax(6em,16em) 4em;'
        f'gap:1px 8px;align-items:center;font-size:90%;margin:6px 0 2px">{rows}</div>'
        f'<div style="margin-bottom:8px"><small>bars: on-rate in each class; dashed: all images{note}'
        "</small></div>"
    )


def _classes_shown(rates: Floats) -> tuple[Sequence[int], int]:
    """Positions of the classes that are drawn, and how many are not."""
    if len(rates) <= MOST_CLASSES:
        return range(len(rates)), 0
    order = np.argsort(-rates, kind="stable")
    half = MOST_CLASSES // 2
    return [*order[:half].tolist(), *order[-half:].tolist()], len(rates) - 2 * half


def _bar(share: float, colour: str, width: str, line: float | None = None) -> str:
    mark = ""
    if line is not None:
        mark = (
            f'<div title="all images: {line:.1%}" style="position:absolute;top:0;bottom:0;'
            f'left:{100 * line:.1f}%;border-left:1.5px dashed {_LINE}"></div>'
        )
    return (
        f'<div style="position:relative;width:{width};height:.85em;border-left:1px solid {_LINE}">'
        f'<div style="width:{100 * share:.1f}%;height:100%;background:{colour}"></div>{mark}</div>'
    )


def picture_strips(pictures: FilterImages, chosen: int | None) -> str:
    """Top and bottom images of a filter, side by side, each with its class and value."""
    strips = []
    for side in SIDES:
        rows = pictures.frame[pictures.frame["side"] == side]
        heading = f"<div><b>{side_heading(pictures.strength, side)}</b>"
        heading += " (no image)</div>" if rows.empty else "</div>"
        figures = "".join(_figure(pictures, place, chosen) for place in rows.index)
        strips.append(
            f'{heading}<div style="display:flex;flex-wrap:wrap;gap:6px;margin:2px 0 8px">{figures}</div>'
        )
    note = safe_text(pictures.left_out, LONGEST_TEXT)
    return f"{''.join(strips)}<div><small>Left out: {note}.</small></div>"


def side_heading(strength: str, side: str) -> str:
    """What the images of one side have in common."""
    if strength == "gates":
        return "gate on" if side == "top" else "gate off"
    return f"{'highest' if side == 'top' else 'lowest'} {strength}"


def _figure(pictures: FilterImages, place: int, chosen: int | None) -> str:
    row = pictures.frame.loc[place]
    edge = f"3px solid {_ORANGE}" if row["position"] == chosen else f"1px solid {_LINE}"
    value = f"<br>{row['value']:.3g}, {'on' if row['gate'] else 'off'}"
    value = "" if pictures.strength == "gates" else value  # the heading says it of all
    name = safe_text(row["label"] or row["image"], 14)
    return (
        f'<figure style="margin:0;width:84px;font-size:80%;line-height:1.25" '
        f'title="{safe_text(row["image"], 200)}">{_picture(pictures.thumbnails[place], edge, 72)}'
        f'<figcaption style="overflow-wrap:anywhere">{name}{value}</figcaption></figure>'
    )


def _picture(content: bytes, edge: str, side: int) -> str:
    box = f"width:{side}px;height:{side}px;border:{edge};box-sizing:border-box"
    if not content:
        return f'<div style="{box};display:grid;place-items:center">no picture</div>'
    return f'<img alt="" style="{box};object-fit:contain" src="{picture_uri(content)}">'


def image_card(path: ImagePath, facts: LayerFacts, filter: int) -> str:
    """One image: what is known of it, its gates as a row of cells, and the least expected ones."""
    about = "; ".join(
        f"{safe_text(name)} {safe_text(value, _LONGEST_NAME)}" for name, value in path.facts.items()
    )
    kind = safe_text(path.group, _LONGEST_NAME) if path.group else "all images"
    return (
        f'<div style="display:flex;gap:10px;line-height:1.4;margin-top:8px">'
        f"{_picture(path.thumbnail, f'1px solid {_LINE}', 96)}<div><b>{safe_text(path.image)}</b>"
        f"<br>{about}<br>Routed through {path.gates.sum():,} of {plural(len(path.gates), 'filter')} "
        f"of layer {facts.layer.index} (mean of {kind}: {path.expected.sum():.1f})."
        f"{_unusual(path, kind)}</div></div>{_cells(path, filter)}"
    )


def _unusual(path: ImagePath, kind: str) -> str:
    said = [
        f"{number} {'on' if path.gates[number] else 'off'} ({path.expected[number]:.0%} on in {kind})"
        for number in path.unusual(_UNUSUAL_SHOWN)
    ]
    return f"<br>Least expected: filter {', '.join(said)}." if said else ""


def _cells(path: ImagePath, filter: int) -> str:
    cells = "".join(
        f'<span title="filter {number}: {"on" if on else "off"}, {share:.0%} expected" style="'
        f"width:11px;height:15px;box-sizing:border-box;border:1px solid {_LINE};"
        f"{f'background:{_BLUE};' if on else ''}"
        f'{f"outline:2px solid {_ORANGE};" if number == filter else ""}"></span>'
        for number, (on, share) in enumerate(zip(path.gates, path.expected, strict=True))
    )
    legend = "filled: on; orange: the chosen filter; filters from 0 on, row by row"
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:2px;margin:6px 0 2px">{cells}</div>'
        f"<small>{legend}</small>"
    )
