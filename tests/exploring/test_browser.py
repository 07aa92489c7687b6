import importlib.util
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import pathlens
from pathlens import browse
from pathlens.errors import PathLensError
from pathlens.exploring import browser
from pathlens.exploring.cards import MOST_CLASSES
from pathlens.recording import write_recording
from tests.analysis.conftest import make_recording

from .conftest import CLASSES, PICTURE, make_pictured


@pytest.fixture
def without_widgets(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        browser, "find_spec", lambda name: None if name == "ipywidgets" else found(name)
    )


def test_the_public_name_is_found_late():
    assert "browse" in pathlens.__all__
    code = (
        "import sys, pathlens; pathlens.browse; "
        "print([m for m in ('torch', 'ipywidgets', 'matplotlib') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_without_ipywidgets_a_still_page_says_what_to_install(pictured, without_widgets):
    made = browse(pictured, layer="body.one")
    bundle = made._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "pathlens[notebook]" in bundle["text/html"]
    with pytest.raises(PathLensError, match=r"pathlens\[notebook\]"):
        _ = made.controls


def test_with_ipywidgets_the_widget_is_shown(pictured):
    pytest.importorskip("ipywidgets", reason="ipywidgets, an optional extra, is not installed")
    bundle = browse(pictured)._repr_mimebundle_(include=None, exclude=None)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "pathlens[notebook]" not in bundle["text/html"]


def test_the_still_page_has_every_layer_and_no_markup_from_names(pictured):
    made = browse(pictured)
    made.explorer.choose_image(4)
    html = made._repr_html_()
    for layer in ("body.one", "body.&lt;b&gt;two&lt;/b&gt;", "head.class"):
        assert layer in html
    assert "<script" not in html
    assert '<&"' not in html
    assert "data:image/png;base64," in html
    assert "Routed through" in html
    assert PICTURE.decode("latin1") not in html


def test_a_written_recording_is_browsed_by_its_folder(tmp_path):
    source = make_pictured(images=40)
    write_recording(
        tmp_path / "r",
        dict(source.bits_by_layer),
        source.images,
        classes=CLASSES,
        thumbnails=source.thumbnails(range(40)),
    )
    for given in (tmp_path / "r", str(tmp_path / "r"), pathlens.open_recording(tmp_path / "r")):
        made = browse(given, layer=2, images=3)
        assert len(made.explorer.pictures.frame) <= 6
        assert str(tmp_path) in repr(made)


@pytest.mark.parametrize("given", [5, None, pd.DataFrame({"images": [1]}), np.zeros((3, 2))])
def test_what_is_no_recording_is_refused(given):
    with pytest.raises(PathLensError, match="nothing to browse"):
        browse(given)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(PathLensError, match="no recording folder"):
        browse(tmp_path / "none")


def test_of_many_classes_the_highest_and_lowest_rates_are_drawn():
    rng = np.random.default_rng(0)
    labels = np.arange(900) % 45
    bits = rng.random((900, 3)) < (labels / 45)[:, None]
    names = [f"name{i:02d}." for i in range(45)]
    html = browse(make_recording(bits, labels, classes=names))._repr_html_()
    drawn = [name for name in names if f">{name}</div>" in html]
    assert len(drawn) == MOST_CLASSES
    assert names[44] in drawn
    assert names[0] in drawn
    assert names[22] not in drawn
    assert "25 classes between them" in html


def test_another_filter_of_ten_thousand_images_answers_at_once(tmp_path):
    pytest.importorskip("ipywidgets", reason="ipywidgets, an optional extra, is not installed")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 10_000)
    write_recording(
        tmp_path / "r",
        {"conv": rng.random((10_000, 128)) < 0.5},
        pd.DataFrame({"image": [f"{i}.png" for i in range(10_000)], "label": labels}),
        thumbnails=[PICTURE] * 10_000,
    )
    controls = browse(tmp_path / "r").controls
    seconds = []
    for number in range(5):
        start = time.perf_counter()
        controls.filter.value = number
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3
