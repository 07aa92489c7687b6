"""`pathlens speed` and `pathlens.deploying.speed`: the table that it prints; no time is asserted."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from pathlens.cli.app import app
from pathlens.deploying import speed
from pathlens.errors import PathLensError
from pathlens.skipping.speed.forms import (
    CALIBRATED,
    CUT,
    DENSE,
    DENSE_PACKED,
    MASKED,
    PACKED,
    SKIPPING,
)


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    return shutil.copytree(trained, tmp_path_factory.mktemp("speed") / "runs")


def test_table_steps_and_machine_are_printed_and_written(runs, tmp_path):
    out = tmp_path / "speed.json"
    before = torch.get_num_threads()
    done = CliRunner().invoke(
        app,
        [
            *("speed", str(runs / "gated"), "--batch", "1,3", "--threads", "1", "--turns", "2"),
            *("--images", "5", "--json", str(out)),
        ],
    )
    assert done.exit_code == 0, done.exception
    assert torch.get_num_threads() == before
    assert "Where the time of one image goes" in done.output
    assert done.output.count("5 images of digits (test)") == 1
    assert "Test accuracy, measured after training: gated " in done.output
    found = json.loads(out.read_text())
    forms = [DENSE, DENSE_PACKED, MASKED, SKIPPING, CALIBRATED, CUT, PACKED]
    assert [(row["batch"], row["form"]) for row in found["forms"]] == [
        (batch, form) for batch in (1, 3) for form in forms
    ]
    for row in found["forms"]:
        assert 0 < row["ms_low"] <= row["ms"] <= row["ms_high"]
        assert f"{row['macs']:,}" in done.output
        assert (row["mode"] != "") == (row["form"] == CALIBRATED)
    assert {"processor", "torch", "numba", "cores"} <= found["machine"].keys()
    assert {step["kind"] for step in found["steps"]} == {"convolution", "gating", "other"}
    assert any(step["share"] is None for step in found["steps"])


def test_without_images_it_runs_on_noise_and_says_so(runs, tmp_path):
    run = shutil.copytree(runs / "gated", tmp_path / "gated")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "gone")}))
    settings = {"images": 2, "batch_sizes": [1], "threads": [1], "turns": 1, "progress": False}
    found = speed(run, **settings)
    assert "noise" in found.notes[0]
    with pytest.raises(PathLensError):
        speed(run, data=tmp_path / "gone", **settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "one"], "whole numbers"),
        (["--threads", "0"], "whole numbers"),
        (["--batch", "8", "--images", "4"], "too few for a batch of 8"),
        (["--device", "abacus"], "cannot be used"),
    ],
)
def test_bad_input_is_one_sentence(runs, arguments, message):
    done = CliRunner().invoke(app, ["speed", str(runs / "gated"), *arguments])
    assert isinstance(done.exception, PathLensError)
    assert message in str(done.exception)


def test_a_plain_run_has_no_paths(runs):
    with pytest.raises(PathLensError, match="plain network"):
        speed(runs / "plain", progress=False)
