"""Captions of an explained image: they keep to their width, whatever classes and files are called."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from pathlens.probing.explaining import Explainer
from pathlens.probing.explaining.captions import fitted, width_of, wrapped

SCENES = Path(__file__).parents[2] / "notebooks" / "data" / "scenes"
NAMES = {
    "short": "fox",
    "ordinary": "black-footed ferret of the prairies, number 7",
    "wide": "W" * 60,
    "formula": r"$\frac{1}{2}$ and a half of it, again and again",
    "two lines": "one line\nand another one that is a good deal longer",
}


@pytest.fixture(scope="module")
def explanations(tmp_path_factory):
    """Two images of the run that the notebooks open."""
    run = tmp_path_factory.mktemp("captions") / "scenes"
    shutil.copytree(SCENES, run)
    explainer = Explainer(run, passes=8, progress=False)
    return {position: explainer.explain(position) for position in (3, 11)}


def called(explanation, name):
    """The same explanation, as if its image, classes and layers were all called `name`."""
    frame = explanation.frame.assign(
        becomes=explanation.frame["becomes"].map(lambda old: name if old else old)
    )
    classes = (name,) * len(explanation.classes)
    other = (explanation.prediction + 1) % len(classes)
    return dataclasses.replace(
        explanation, image=name, classes=classes, frame=frame, label=other, prediction=other - 1
    )


def boxes(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    shown = [text for text in texts if text.get_visible()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def overlaps(one, other, slack=1.0):
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > slack and down > slack


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("position", [3, 11])
def test_no_caption_covers_another_or_leaves_the_figure(explanations, name, position):
    figure = called(explanations[position], name).plot()
    found = boxes(figure)
    assert len(found) > 20
    for place, (text, box) in enumerate(found):
        assert box.x0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
        for other, its_box in found[place + 1 :]:
            assert not overlaps(box, its_box), (text, other)


@pytest.mark.parametrize("bold", [False, True])
def test_a_line_is_cut_where_its_width_ends(bold):
    for text in ("i" * 90, "W" * 90, "a name of several words " * 4):
        cut = fitted(text, 1.5, 8, bold=bold)
        assert cut.endswith("…")
        assert width_of(cut, 8, bold) <= 1.5
        longer = text[: len(cut) + 1] + "…"
        assert width_of(longer, 8, bold) > 1.5
    assert len(fitted("i" * 90, 1.5, 8)) > 3 * len(fitted("W" * 90, 1.5, 8))


def test_what_fits_is_left_alone_and_a_dollar_starts_no_formula():
    assert fitted("hammerhead", 1.5, 8) == "hammerhead"
    assert fitted("$x$", 1.5, 8) == r"\$x\$"
    assert fitted("two\nlines", 1.5, 8) == "two lines"
    assert fitted("", 1.5, 8) == ""


def test_lines_are_broken_between_words_and_lose_none():
    text = " ".join(f"word{number}" for number in range(40))
    lines = wrapped(text, 2.0, 8).split("\n")
    assert len(lines) > 3
    assert " ".join(lines) == text
    assert max(width_of(line, 8) for line in lines) <= 2.0
    assert wrapped("W" * 90 + " end", 1.5, 8).split("\n")[1] == "end"
