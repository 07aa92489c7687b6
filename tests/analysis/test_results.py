import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from pathlens.analysis import (
    associations,
    class_paths,
    filter_states,
    path_clusters,
    path_map,
)
from pathlens.analysis.drawing import figure_bytes
from tests.analysis.conftest import make_recording, planted

ALL = {
    "states": filter_states,
    "class paths": lambda r: class_paths(r, "head.class"),
    "clusters": lambda r: path_clusters(r, "head.class", permutations=20),
    "map": lambda r: path_map(r, "head.class", max_images=150),
    "associations": lambda r: associations(r, resamples=50),
}


@pytest.fixture(scope="module")
def results():
    bits, labels = planted(0, images=300, classes=10, filters=32)
    recording = make_recording(
        {"stem": np.tile(bits[:1], (300, 1)), "head.class": bits},
        labels,
        classes=["<script>alert(1)</script>", "a$b_{$c", "_hidden", "x" * 60, *"efghij"],
    )
    return {name: analysis(recording) for name, analysis in ALL.items()}


@pytest.mark.parametrize("name", ALL)
def test_awkward_names_are_drawn_as_they_are(results, name):
    figure = results[name].plot()
    svg = figure_bytes(figure, "svg").decode()
    assert "<script>" not in svg
    assert figure_bytes(figure, "png").startswith(b"\x89PNG")
    if name == "class paths":
        assert "a$b_{$c" in svg
    if name == "map":
        assert svg.count("_hidden") >= 1


@pytest.mark.parametrize("name", ALL)
def test_results_show_themselves_without_markup_from_names(results, name):
    html = results[name]._repr_html_()
    assert "<script>" not in html
    assert "data:image/png;base64," in html


@pytest.mark.parametrize("name", ALL)
def test_figures_repeat_and_leave_settings_alone(results, name):
    before = dict(mpl.rcParams)
    one, two = (figure_bytes(results[name].plot(), "svg") for _ in range(2))
    assert one == two
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ALL)
def test_results_are_frozen_and_speak_in_sentences(results, name):
    with pytest.raises(AttributeError):
        results[name].left_out = "nothing"
    assert results[name].summary().endswith(".")
    assert "nan" not in results[name].summary()


def test_empty_results_are_drawn_too():
    bits, labels = planted(0, images=30)
    recording = make_recording({"head.class": bits | True}, labels * 0, classes=["only"])
    for analysis in ALL.values():
        found = analysis(recording)
        assert "nan" not in found.summary()
        assert figure_bytes(found.plot(), "png")


def test_import_needs_no_torch_and_nothing_heavy():
    code = (
        "import sys, pathlens.analysis; "
        "print([m for m in ('torch', 'matplotlib', 'sklearn', 'scipy.stats', 'seaborn', 'umap') "
        "if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
