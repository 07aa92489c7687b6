import base64
import io
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.analysis.display import COLUMNS_SHOWN, MOST_PICTURE_BYTES, safe_text, table_html
from pathlens.analysis.drawing import new_figure
from pathlens.analysis.results import Result

EVIL = "<script>alert('x')</script>"


@dataclass(frozen=True)
class Sample(Result):
    """A result of whatever it is given."""

    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_out: str = ""
    sentence: str = "Said."
    size: tuple[float, float] = (4, 3)
    noise: int = 0

    def plot(self):
        figure = new_figure(*self.size)
        if self.noise:
            pixels = np.random.default_rng(0).random((self.noise, self.noise, 3))
            figure.add_subplot().imshow(pixels, interpolation="nearest")
        return figure

    def summary(self):
        return self.sentence


def picture(result):
    (found,) = re.findall(r"base64,([^\"]+)", result._repr_html_())
    return base64.b64decode(found)


def test_names_are_text_everywhere():
    frame = pd.DataFrame({EVIL: [EVIL], "b": [(EVIL, 'a"b')]})
    html = Sample(frame, left_out=EVIL, sentence=EVIL)._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 5


def test_very_long_names_are_cut():
    html = Sample(pd.DataFrame({"a": ["y" * 100_000]}), sentence="z" * 100_000)._repr_html_()
    assert len(html) < 30_000
    assert safe_text("&" * 10, 4) == "&amp;&amp;&amp;…"


def test_the_figure_is_capped_by_resolution():
    noisy = picture(Sample(size=(14, 10), noise=1200))
    assert len(noisy) <= MOST_PICTURE_BYTES
    assert max(Image.open(io.BytesIO(picture(Sample(size=(4, 40))))).size) <= 2400
    assert Image.open(io.BytesIO(picture(Sample(size=(4, 3))))).size == (576, 432)


def test_an_empty_result_is_shown():
    assert "Said." in Sample()._repr_html_()


def test_cells_are_readable():
    frame = pd.DataFrame(
        {
            "number": [3, 1234567],
            "share": [0.123456789, np.nan],
            "known": pd.array([1, None], dtype="Int64"),
            "on": [True, False],
            "raw": [b"12345", None],
        }
    )
    html = table_html(frame)
    for cell in (">3<", ">1234567<", ">0.1235<", ">–<", ">True<", ">5 bytes<"):
        assert cell in html
    assert "nan" not in html.lower()
    assert "NA" not in html


def test_what_is_not_shown_is_counted():
    frame = pd.DataFrame(np.zeros((12, COLUMNS_SHOWN + 3)))
    html = table_html(frame, rows=5)
    assert html.count("<tr>") == 6
    assert f"5 of 12 rows and {COLUMNS_SHOWN} of {COLUMNS_SHOWN + 3} columns" in html
    assert ".frame" not in table_html(frame.iloc[:2, :2])


@pytest.mark.parametrize("setting", [None, 5])
def test_pandas_settings_of_the_user_change_nothing(setting):
    frame = pd.DataFrame({"a": ["b" * 500]})
    with pd.option_context("display.max_colwidth", setting):
        assert "b" * 59 + "…" in table_html(frame)
