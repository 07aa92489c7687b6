"""`pathlens compare`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from pathlens.cli.compare import compare
from pathlens.errors import PathLensError
from pathlens.recording import write_recording


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two recordings of the same images and a third of others, by name."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    bits = (rng.random((4, 8)) < 0.5)[labels] ^ (rng.random((120, 8)) < 0.1)
    other = bits ^ (rng.random(bits.shape) < 0.1)
    _write(root / "a", bits, labels, "img")
    _write(root / "b", other, labels, "img")
    _write(root / "lone", bits[:, :5], labels % 2, "else", layer="features.0")
    return root


def _write(folder, bits, labels, stem, layer="body.conv"):
    images = pd.DataFrame(
        {
            "image": [f"{stem}/{i:03d}.png" for i in range(len(bits))],
            "label": labels,
            "prediction": labels,
        }
    )
    names = [f"class {i}" for i in range(labels.max() + 1)]
    write_recording(folder, {layer: bits}, images, classes=names)


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(compare)

    def call(*arguments):
        return CliRunner().invoke(app, [str(x) for x in arguments])

    return call


def test_it_says_what_changed_and_writes_tables_and_figure(recordings, run, tmp_path):
    out = tmp_path / "compared"
    done = run(recordings / "a", recordings / "b", "--out", out)
    assert done.exit_code == 0, done.output
    assert "Over the same 120 images" in done.stdout
    assert "body.conv" in done.stdout
    assert "own best" in done.stdout
    names = {path.name for path in out.iterdir()}
    assert names == {
        "layers.csv",
        "filters.csv",
        "classes.csv",
        "clusters.csv",
        "scores.csv",
        "comparison.png",
        "comparison.svg",
        "summary.json",
    }
    assert len(pd.read_csv(out / "filters.csv")) == 8
    assert json.loads((out / "summary.json").read_text())["A"].endswith("a")


def test_a_former_comparison_is_replaced_and_strangers_are_not(recordings, run, tmp_path):
    out = tmp_path / "compared"
    pair = (recordings / "a", recordings / "b", "--out", out)
    run(*pair)
    (out / "layers.csv").write_text("old")
    assert run(*pair).exit_code == 0
    assert (out / "layers.csv").read_text() != "old"
    report = tmp_path / "report"
    report.mkdir()
    (report / "summary.json").write_text('{"images": 3}')
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("mine")
    for folder in (report, stranger):
        before = [path.read_text() for path in folder.iterdir()]
        done = run(*pair[:2], "--out", folder)
        assert isinstance(done.exception, PathLensError)
        assert "holds other files than" in str(done.exception)
        assert [path.read_text() for path in folder.iterdir()] == before


def test_a_failed_comparison_leaves_nothing_behind(recordings, run, tmp_path, monkeypatch):
    def full_disk(*_):
        raise PathLensError("The disk is full.")

    monkeypatch.setattr("pathlens.files.write_bytes", full_disk)
    done = run(recordings / "a", recordings / "b", "--out", tmp_path / "compared")
    assert "disk is full" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_told_in_one_sentence(recordings, run):
    done = run(recordings / "a", recordings / "nowhere")
    assert "There is no recording folder" in str(done.exception)
    done = run(recordings / "a", recordings / "lone")
    assert "nothing in common" in str(done.exception)
    done = run(recordings / "a", recordings / "b", "--layer", "body.cnv")
    assert "did you mean body.conv" in str(done.exception)
