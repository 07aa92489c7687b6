"""`pathlens associate --masks --ablate`: what is measured, printed and refused."""

from __future__ import annotations

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from pathlens.cli.associate import associate
from pathlens.errors import PathLensError
from pathlens.recording.beside import COMBINATIONS, CONFIRMATIONS, OVERLAYS
from tests.probing.masked import record_masked


@pytest.fixture(scope="module")
def masked(trained, tmp_path_factory):
    made = record_masked(trained, tmp_path_factory.mktemp("cli"))
    made.concepts.to_csv(made.data.parent / "concepts.csv", index=False)
    return made


@pytest.fixture
def run(masked):
    app = typer.Typer()
    app.command()(associate)
    for name in (CONFIRMATIONS, COMBINATIONS, OVERLAYS):
        (masked.recording.folder / name).unlink(missing_ok=True)

    def call(*arguments, masks=True):
        root = masked.data.parent
        about = [
            masked.recording.folder,
            "--concepts",
            root / "concepts.csv",
            "--layer",
            masked.layer,
        ]
        if masks:
            about += ["--masks", root / "masks", "--classes", root / "classes.txt"]
            about += ["--data", masked.data]
        return CliRunner().invoke(app, [str(x) for x in (*about, *arguments)])

    return call


def test_masks_fill_the_columns_and_are_remembered(masked, run, tmp_path):
    done = run("--images", 30, "--out", tmp_path / "one")
    assert done.exit_code == 0, done.output
    assert "were held against the pixels of their concepts" in done.stdout
    head = next(line.split() for line in done.stdout.splitlines() if "concept" in line.split())
    assert head[-4:] == ["IoU", "at", "most", "single"]
    legend = [line for line in done.stdout.splitlines() if line.startswith("IoU of")]
    assert len(legend) == 1
    assert "at most: " in legend[0]
    assert "single: " in legend[0]
    assert "ablated" not in legend[0]
    first = pd.read_csv(tmp_path / "one" / "tables" / "associations.csv")
    assert first["iou"].notna().tolist() == first["confirmed"].tolist()
    assert set(first["images_with_masks"].dropna()) == {30}
    assert (masked.recording.folder / OVERLAYS).is_file()
    again = run("--out", tmp_path / "two", masks=False)
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(
        first, pd.read_csv(tmp_path / "two" / "tables" / "associations.csv")
    )


def test_nothing_is_measured_unasked(masked, run, tmp_path):
    done = run("--out", tmp_path / "out", masks=False)
    table = pd.read_csv(tmp_path / "out" / "tables" / "associations.csv")
    assert table[["iou", "iou_best_single", "iou_ceiling"]].isna().all(axis=None)
    assert table[["ablation_effect", "ablation_effect_random"]].isna().all(axis=None)
    assert "IoU" not in done.stdout
    assert not (masked.recording.folder / COMBINATIONS).exists()


def test_options_reach_the_measure(run, monkeypatch):
    calls = []

    def double(recording, found, **options):
        calls.append(options)
        return found

    monkeypatch.setattr("pathlens.probing.measure_combinations", double)
    place = "pathlens.probing.combination_settings.require_measurable"
    monkeypatch.setattr(place, lambda *_: None)
    run("--void", "ground", "--ending", "_L", "--unconfirmed", "--seed", 3, "--threshold", 0.4)
    run("--ablate", "--device", "cuda", "--images", 7, masks=False)
    first, second = calls
    assert (first["masks"].void, first["masks"].ending) == (["ground"], "_L")
    assert (first["ablate"], first["confirmed_only"]) == (False, False)
    assert (first["seed"], first["threshold"]) == (3, 0.4)
    assert len(first["concepts"])
    assert (second["masks"], second["ablate"], second["confirmed_only"]) == (None, True, True)
    assert (second["device"], second["images"], second["data"]) == ("cuda", 7, None)
    run("--masks", "dataset", masks=False)
    assert calls[-1]["masks"] == "dataset"


def test_bad_input_is_told_before_anything_is_searched(masked, run, tmp_path, monkeypatch):
    def searched(*_, **__):
        raise AssertionError("searched")

    monkeypatch.setattr("pathlens.analysis.associations", searched)
    root = masked.data.parent
    for arguments, words in (
        (["--masks", root / "masks"], "give --classes"),
        (["--classes", root / "classes.txt"], "give --masks FOLDER"),
        (["--masks", "dataset", "--ending", "_L"], "give --masks FOLDER"),
        (["--masks", root / "none", "--classes", root / "classes.txt"], "no folder of masks"),
        (["--masks", root / "masks", "--classes", root / "none.txt"], "There is no file"),
    ):
        done = run(*arguments, masks=False)
        assert isinstance(done.exception, PathLensError), (arguments, done.output)
        assert words in str(done.exception)
    done = run("--data", tmp_path / "gone")
    assert "does not exist" in str(done.exception)
    done = run("--ablate", "--data", tmp_path / "gone", masks=False)
    assert "does not exist" in str(done.exception)
    (tmp_path / "thesis.txt").write_text("mine")
    done = run("--out", tmp_path)
    assert "holds other files" in str(done.exception)


def test_damaged_measures_are_noted_and_the_search_goes_on(masked, run, tmp_path):
    (masked.recording.folder / COMBINATIONS).write_text("{no,table\n1,2\n")
    done = run("--out", tmp_path / "out", masks=False)
    assert done.exit_code == 0, done.output
    assert "what masks and ablation say (" in done.stdout
    assert (tmp_path / "out" / "tables" / "associations.csv").is_file()


def test_what_was_found_is_kept_where_measuring_is_refused_late(run, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PathLensError("The mask is small.")

    monkeypatch.setattr("pathlens.probing.measure_combinations", refuse)
    done = run("--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "Not measured: The mask is small." in done.output
    assert (tmp_path / "out" / "tables" / "associations.csv").is_file()


def test_help_says_that_pictures_are_kept():
    app = typer.Typer()
    app.command()(associate)
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    words = " ".join(said.replace("│", " ").split())
    assert "small pictures of the images are kept beside the recording" in words
