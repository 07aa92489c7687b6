"""`record()`: what it writes is what the network did, however the work was divided."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pathlens
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import normalise
from pathlens.errors import PathLensError
from pathlens.recorder import record
from pathlens.training import load_run

from .helpers import interrupted_after


@pytest.fixture(autouse=True)
def runs(trained, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(trained))


def test_every_row_is_what_the_network_does_with_that_image(tmp_path):
    recording = record("gated", out=tmp_path / "r", limit=40, progress=False)
    loaded, test = load_run("gated"), load_dataset("digits").split("test")
    position = {image: i for i, image in enumerate(test.ids)}
    bits = {layer.name: recording.bits(layer.name) for layer in recording.layers}
    assert len(recording) == 40
    for row, image in recording.images.iterrows():
        pixels = torch.from_numpy(test.read(position[image["image"]])).permute(2, 0, 1)[None]
        output, path = loaded.network.with_path(normalise(pixels))
        probabilities = output.softmax(1)[0]
        assert image["label"] == test.labels[position[image["image"]]]
        assert image["prediction"] == int(probabilities.argmax())
        assert image["confidence"] == pytest.approx(probabilities.max().item(), abs=1e-4)
        assert image["macs"] == pytest.approx(loaded.network.cost.macs(path).item(), rel=1e-6)
        for name, gates in path.items():
            assert np.array_equal(bits[name][row], gates[0].numpy() > 0.5)


def test_the_manifest_says_where_it_comes_from(tmp_path):
    recording = record("gated", out=tmp_path / "r", limit=20, progress=False)
    loaded = load_run("gated")
    assert recording.manifest["checkpoint"] == loaded.checkpoint
    assert recording.manifest["dataset"] == {
        "name": "digits", "split": "test", "limit": 20, "seed": 0,
    }  # fmt: skip
    assert recording.manifest["macs_dense"] == loaded.network.cost.dense
    assert recording.classes == loaded.config.classes
    recording.verify()


def test_parts_do_not_change_what_is_recorded(tmp_path):
    whole = record("gated", out=tmp_path / "a", limit=50, progress=False)
    parts = record(
        "gated", out=tmp_path / "b", limit=50, part_size=16, batch_size=5, progress=False
    )
    assert len(list((tmp_path / "b").glob("part-*.parquet"))) == 4
    assert list(whole.images["image"]) == list(parts.images["image"])
    for layer in whole.layers:
        assert np.array_equal(whole.bits(layer.name), parts.bits(layer.name))


def test_an_interrupted_recording_resumes_to_the_same_bytes(tmp_path):
    asked = {"limit": 60, "part_size": 16, "progress": False}
    record("gated", out=tmp_path / "whole", **asked)
    interrupted_after(2, lambda: record("gated", out=tmp_path / "cut", **asked))
    with pytest.raises(PathLensError, match="unfinished"):
        pathlens.open_recording(tmp_path / "cut")
    record("gated", out=tmp_path / "cut", **asked)
    files = sorted(path.name for path in (tmp_path / "whole").iterdir() if path.suffix != ".lock")
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_a_finished_recording_says_so_and_is_left_alone(tmp_path):
    record("gated", out=tmp_path / "r", limit=20, progress=False)
    before = (tmp_path / "r" / "part-00000.parquet").stat().st_mtime_ns
    said = []
    record("gated", out=tmp_path / "r", limit=20, progress=False, say=said.append)
    assert (tmp_path / "r" / "part-00000.parquet").stat().st_mtime_ns == before
    assert "finished already" in said[-1]


def test_another_checkpoint_is_not_mixed_into_a_recording(tmp_path, trained):
    import shutil

    record("gated", out=tmp_path / "r", limit=20, progress=False)
    shutil.copytree(trained / "gated", tmp_path / "other")
    content = torch.load(tmp_path / "other" / "checkpoint.pt", weights_only=True)
    content["weights"]["model.classifier.bias"] += 1
    torch.save(content, tmp_path / "other" / "checkpoint.pt")
    with pytest.raises(PathLensError, match="another checkpoint"):
        record(tmp_path / "other", out=tmp_path / "r", limit=20, progress=False)


def test_a_plain_run_has_no_paths():
    with pytest.raises(PathLensError, match="plain network and has no paths"):
        record("plain", progress=False)


def write_images(folder, count=6, size=(40, 32)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def test_a_flat_folder_without_labels_and_with_a_broken_image(tmp_path):
    write_images(tmp_path / "photos")
    (tmp_path / "photos" / "3.png").write_bytes(b"broken")
    recording = record("gated", tmp_path / "photos", out=tmp_path / "r", progress=False)
    assert list(recording.images["image"]) == ["0.png", "1.png", "2.png", "4.png", "5.png"]
    assert "label" not in recording.images
    assert list(recording.skipped["image"]) == ["3.png"]
    assert all(len(picture) > 100 for picture in recording.thumbnails(range(5)))


def test_labels_of_other_classes_are_left_out_and_known_ones_are_matched_by_name(tmp_path):
    for name in ("7", "2"):
        write_images(tmp_path / "some" / "train" / name)
        write_images(tmp_path / "some" / "test" / name)
        write_images(tmp_path / "alien" / "train" / f"x{name}")
        write_images(tmp_path / "alien" / "test" / f"x{name}")
    known = record("gated", tmp_path / "some", out=tmp_path / "a", progress=False)
    assert {known.classes[label] for label in known.images["label"]} == {"2", "7"}
    by_id = dict(zip(known.images["image"], known.images["label"], strict=True))
    assert known.classes[by_id["test/7/0.png"]] == "7"
    alien = record("gated", tmp_path / "alien", out=tmp_path / "b", progress=False)
    assert "label" not in alien.images


def test_scenes_carry_their_concepts(tmp_path, trained, monkeypatch):
    from pathlens.training import train

    monkeypatch.setenv("PATHLENS_RUNS", str(tmp_path / "runs"))
    train("small_cnn", "scenes", width=0.25, limit=60, epochs=1, batch_size=32, progress=False)
    recording = record(limit=30, progress=False)
    concepts = recording.concepts()
    assert isinstance(concepts, pd.DataFrame)
    assert set(concepts["image"]) <= set(recording.images["image"])
    assert json.loads((recording.folder / "recording.json").read_text())["images"] == 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "tset"}, "Unknown split of 'digits' 'tset'"),
        ({"limit": 0}, "leaves no image"),
        ({"run": "nobody"}, "Unknown run"),
        ({"data": "nowhere"}, "Unknown data set 'nowhere'"),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path, changes, message):
    with pytest.raises(PathLensError, match=message):
        record(**{"run": "gated", "out": tmp_path / "r", "progress": False, **changes})
    assert not (tmp_path / "r").exists()
