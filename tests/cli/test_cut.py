"""`pathlens cut` and `pathlens.cut`: from recorded paths to a smaller network."""

import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import pathlens
from pathlens.cli.app import app
from pathlens.deploying import cut
from pathlens.errors import PathLensError
from pathlens.recorder import record
from pathlens.recording import open_recording
from pathlens.training import load


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    """Runs, one of them recorded with all of its test images."""
    root = tmp_path_factory.mktemp("cut") / "runs"
    shutil.copytree(trained, root)
    shutil.copytree(root / "gated", root / "bare")
    record(root / "gated", limit=60, progress=False)
    return root


@pytest.fixture(scope="module")
def recording(runs):
    return open_recording(next((runs / "gated" / "recordings").iterdir()))


def pathlens_cut(*arguments):
    return CliRunner().invoke(app, ["cut", *map(str, arguments)])


@torch.no_grad()
def test_files_and_table_of_a_cut_to_classes(runs, recording, tmp_path):
    onnx = pytest.importorskip("onnxruntime")
    files = [tmp_path / "cut.pt2", tmp_path / "cut.onnx"]
    wanted = [f"--out={file}" for file in files]
    names = recording.classes[3], recording.classes[5]
    done = pathlens_cut(runs / "gated", "--class", ",".join(names), *wanted)
    assert done.exit_code == 0, done.exception
    assert "MACs an image instead of" in done.output
    assert "the cut network is right on" in done.output
    assert all(f"{file}: checked with batches of 1 and 4" in done.output for file in files)

    network = load(runs / "gated")
    rows = recording.images["label"].isin([3, 5]).to_numpy()
    gates = {
        layer.name: torch.from_numpy(recording.bits(layer.name)[rows].any(axis=0)).float()
        for layer in network.layers
    }
    size = torch.export.load(files[0]).example_inputs[0][0].shape[2:]
    x = torch.randn(3, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = network.with_path(x, force=gates)[0]
    found = torch.export.load(files[0]).module()(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    session = onnx.InferenceSession(files[1], providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {"images": x.numpy()})[0])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [(), (2,)])
@pytest.mark.parametrize("threshold", [None, 0.2, 0.9])
def test_filters_stay_that_are_on_often_enough(runs, recording, classes, threshold, monkeypatch):
    if threshold is None and not classes:
        return
    chosen = {}

    def keep(network, gates, images):
        chosen.update(gates)
        raise PathLensError("enough")

    monkeypatch.setattr("pathlens.deploying.cutting.cut_network", keep)
    names = [recording.classes[number] for number in classes]
    with pytest.raises(PathLensError, match="enough"):
        cut(runs / "gated", classes=names, threshold=threshold, progress=False)
    labels = recording.images["label"].to_numpy()
    for layer in recording.layers:
        bits = recording.bits(layer.name)
        for filter_ in range(layer.filters):
            on = [
                bool(bits[i, filter_])
                for i in range(len(bits))
                if labels[i] in classes or not classes
            ]
            share = sum(on) / len(on)
            stays = share > 0 if threshold is None else share >= threshold
            assert bool(chosen[layer.name][filter_]) == stays


def test_accuracy_is_that_of_the_cut_network_on_the_chosen_images(runs, recording):
    made = pathlens.cut(runs / "gated", threshold=0.02, images=40, progress=False)
    assert made.accuracy.images == 40
    assert made.accuracy.error < 1e-4
    assert 0 <= made.accuracy.cut <= 1
    assert made.cut.macs < made.cut.dense_macs
    everything = cut(runs / "gated", threshold=1e-9, images=60, progress=False)
    images = recording.images
    assert everything.accuracy.own == np.mean(images["label"] == images["prediction"])
    assert (everything.frame["least_rate"] > 0).all()
    assert not made.left_out


def test_without_images_it_cuts_and_says_what_it_could_not_do(runs, recording, tmp_path):
    copied = shutil.copytree(runs / "gated", tmp_path / "gated")
    made = cut(copied, threshold=0.02, images=0, data="digits", progress=False)
    assert made.accuracy is None
    made = cut(copied, threshold=0.02, data=tmp_path, progress=False)
    assert made.accuracy is None
    assert "Accuracy was not measured" in made.left_out
    assert made.module(made.images).shape == (4, len(recording.classes))


def test_bad_input_is_one_sentence(runs, recording, tmp_path, monkeypatch):
    other = shutil.copytree(recording.folder, tmp_path / "other")
    attempts = [
        ({}, "Nothing says which filters stay"),
        ({"classes": ["9O"]}, "Unknown class '9O'"),
        ({"threshold": 0.0}, "above 0 and at most 1"),
        ({"threshold": 1.5}, "above 0 and at most 1"),
        ({"threshold": 0.1, "out": ["cut.txt"]}, r"\.pt2 or \.onnx"),
        ({"threshold": 0.1, "run": "plain"}, "plain network"),
        ({"threshold": 0.1, "run": "bare"}, "pathlens record bare"),
        ({"threshold": 0.1, "recording": other.parent}, "recording"),
    ]
    for settings, message in attempts:
        run = runs / settings.pop("run", "gated")
        with pytest.raises(PathLensError, match=message) as caught:
            cut(run, progress=False, **settings)
        assert "\n" not in str(caught.value)
    changed = shutil.copytree(runs / "gated", tmp_path / "changed")
    checkpoint = torch.load(changed / "checkpoint.pt", weights_only=True)
    next(iter(checkpoint["weights"].values())).add_(1)
    torch.save(checkpoint, changed / "checkpoint.pt")
    with pytest.raises(PathLensError, match="another run or checkpoint"):
        cut(changed, threshold=0.1, recording=other, progress=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PathLensError, match="pip install"):
        cut(runs / "gated", threshold=0.1, out=["cut.onnx"], progress=False)
