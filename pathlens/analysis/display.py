"""Results as HTML that stands alone: names of classes and files are text in it, never markup."""

from __future__ import annotations

import base64
import html
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pathlens.analysis.results import Result

ROWS_SHOWN = 8
COLUMNS_SHOWN = 30
LONGEST_CELL = 60
LONGEST_TEXT = 2000
MOST_PICTURE_BYTES = 600_000
"""What the figure of one result may weigh; it is drawn coarser until it does."""

_MOST_PIXELS = 2400
_DPI_ON_SCREEN = 96
_FINEST, _COARSEST = 144, 36


def result_html(result: Result) -> str:
    """Sentence, what was left out, figure, and the first rows of the table."""
    said = f"<p>{safe_text(result.summary(), LONGEST_TEXT)}</p>"
    if result.left_out:
        said += f"<p><em>Left out: {safe_text(result.left_out, LONGEST_TEXT)}.</em></p>"
    figure = figure_html(result.plot(), alt=type(result).__name__)
    return f"<div>{said}{figure}{table_html(result.frame)}</div>"


def safe_text(text: object, longest: int = LONGEST_CELL) -> str:
    """A text as HTML shows it as it is, cut where it is longer than `longest` characters."""
    written = str(text)
    short = written if len(written) <= longest else written[: longest - 1] + "…"
    return html.escape(short)


def picture_uri(content: bytes) -> str:
    """PNG or JPEG bytes as an address that holds the picture itself."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def figure_html(figure: Figure, alt: str) -> str:
    """A figure as a picture that is never wider than the page nor heavier than allowed."""
    width = round(_DPI_ON_SCREEN * float(figure.get_size_inches()[0]))
    style = "max-width:100%;height:auto;background:#fff"
    source = picture_uri(_capped_picture(figure))
    return f'<img alt="{html.escape(alt)}" width="{width}" style="{style}" src="{source}">'


def _capped_picture(figure: Figure) -> bytes:
    """A figure as PNG, at half the resolution again and again until it is small enough."""
    from pathlens.analysis.drawing import figure_bytes

    longest = float(max(figure.get_size_inches()))
    dpi = max(_COARSEST, min(_FINEST, int(_MOST_PIXELS / longest)))
    picture = figure_bytes(figure, "png", dpi)
    while len(picture) > MOST_PICTURE_BYTES and dpi > _COARSEST:
        dpi = max(_COARSEST, dpi // 2)
        picture = figure_bytes(figure, "png", dpi)
    return picture


def table_html(frame: pd.DataFrame, rows: int = ROWS_SHOWN) -> str:
    """The first rows and columns of a table, and how much of it that is."""
    shown = frame.iloc[:rows, :COLUMNS_SHOWN]
    heads = "".join(
        f'<th style="text-align:{_side(shown.iloc[:, place])}">{safe_text(name)}</th>'
        for place, name in enumerate(shown.columns)
    )
    body = "".join(
        f"<tr>{''.join(_cell(value) for value in row)}</tr>"
        for row in shown.itertuples(index=False, name=None)
    )
    return (
        '<div style="overflow-x:auto"><table class="dataframe">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{_extent(frame, shown)}"
    )


def _extent(frame: pd.DataFrame, shown: pd.DataFrame) -> str:
    if shown.shape == frame.shape:
        return ""
    parts = [f"{len(shown):,} of {len(frame):,} rows"] * (len(shown) < len(frame))
    if shown.shape[1] < frame.shape[1]:
        parts.append(f"{shown.shape[1]} of {frame.shape[1]} columns")
    return f"<p><small>{' and '.join(parts)}; all are in <code>.frame</code>.</small></p>"


def _side(column: pd.Series) -> str:
    """On which side a column's heading stands: above its numbers or above its words."""
    return "right" if len(column) and _is_number(column.iloc[0]) else "left"


def _is_number(value: Any) -> bool:
    return bool(pd.api.types.is_number(value)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    number = _is_number(value)
    text = _number(value) if number else safe_text(_words(value))
    return f'<td style="text-align:{"right" if number else "left"}">{text}</td>'


def _number(value: Any) -> str:
    if isinstance(value, Integral):
        return str(int(value))
    return "–" if np.isnan(value) else f"{value:.4g}"


def _words(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(str(one) for one in value)
    return "–" if value is None or value is pd.NA or value is pd.NaT else str(value)
