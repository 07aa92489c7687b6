"""Optional columns: floats beside the bits, and ids of derived images."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pathlens.datasets import load_dataset
from pathlens.datasets.loader import normalise
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerTable
from pathlens.recorder import record
from pathlens.recorder.penultimate import Features
from pathlens.recording import PartRows, Plan, RecordingWriter, open_recording, write_recording
from pathlens.recording.further import FurtherColumn, as_float16
from pathlens.recording.manifest import image_fingerprint
from pathlens.training import load_run

from .helpers import contents, interrupted_after
from .test_record import write_images

ALL = ["scores", "responses", "features", "logits"]


@pytest.fixture(autouse=True)
def runs(trained, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(trained))


@pytest.fixture(scope="module")
def full(trained, tmp_path_factory):
    """A recording with everything, in three parts."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PATHLENS_RUNS", str(trained))
    folder = tmp_path_factory.mktemp("columns") / "r"
    yield record("gated", out=folder, limit=40, part_size=16, columns=ALL, progress=False)
    patch.undo()


def test_columns_are_what_the_network_did_image_by_image(full):
    network = load_run("gated").network
    test = load_dataset("digits").split("test")
    features, logits = full.features(), full.logits()
    assert (features.dtype, logits.dtype) == (np.float32, np.float32)
    for row in range(0, 40, 7):
        position = test.ids.index(full.images["image"][row])
        pixels = torch.from_numpy(test.read(position)).permute(2, 0, 1)[None]
        with torch.no_grad():
            output, path = network.with_path(normalise(pixels))
        close = {"rtol": 2e-3, "atol": 2e-3}
        np.testing.assert_allclose(logits[row], output[0], **close)
        for layer in full.layers:
            np.testing.assert_allclose(
                full.scores(layer.index)[row], path.logits[layer.name][0], **close
            )
            np.testing.assert_allclose(
                full.responses(layer.name)[row], path.responses[layer.name][0], **close
            )
        # The features are what the last layer makes the class scores of.
        last = network.model.classifier
        again = last(torch.from_numpy(features[row : row + 1]))
        np.testing.assert_allclose(logits[row], again.detach()[0], rtol=1e-4, atol=1e-5)


def test_the_sign_of_a_score_tells_the_gate(full):
    for layer in full.layers:
        scores = full.scores(layer.name)
        assert scores.dtype == np.float16
        assert full.responses(layer.name).dtype == np.float32
        assert np.array_equal(scores > 0, full.bits(layer.name))


def test_bits_do_not_depend_on_what_else_is_recorded(full, tmp_path):
    bare = record("gated", out=tmp_path / "r", limit=40, part_size=16, progress=False)
    assert bare.images.equals(full.images)
    assert np.array_equal(bare.path_bits(), full.path_bits())
    full.verify()


def test_the_columns_can_be_read_with_pyarrow_and_numpy_alone(full):
    manifest = json.loads((full.folder / "recording.json").read_text())
    listed = {entry["name"]: entry for entry in manifest["extra"]["further_columns"]}
    assert len(listed) == 2 * len(manifest["layers"]) + 2
    for name in ("score." + manifest["layers"][0]["name"], "logits"):
        size = {"float16": 2, "float32": 4}[listed[name]["kind"]]
        rows = []
        for part in manifest["parts"]:
            table = pq.read_table(full.folder / part["file"], columns=[name])
            for value in table.column(0).to_pylist():
                assert len(value) == size * listed[name]["values"]
                rows.append(np.frombuffer(value, dtype=f"<f{size}"))
        ours = full.logits() if name == "logits" else full.scores(1)
        assert np.array_equal(np.stack(rows), ours)


def test_reading_one_layer_touches_no_other_column(full, monkeypatch):
    import pathlens.recording.reader as reader

    seen, original = [], reader.read_columns

    def spy(path, names=None):
        seen.append(tuple(names))
        return original(path, names)

    monkeypatch.setattr(reader, "read_columns", spy)
    full.scores(2)
    full.responses(1)
    names = full.layers.names
    assert set(seen) == {(f"score.{names[1]}",), (f"response.{names[0]}",)}


@pytest.mark.parametrize("flag", ALL)
def test_an_absent_column_names_its_flag(tmp_path, flag):
    kept = [name for name in ALL if name != flag]
    recording = record("gated", out=tmp_path / "r", limit=20, columns=kept, progress=False)
    read = getattr(recording, flag)
    with pytest.raises(PathLensError, match=f"holds no {flag}.* --with {flag}"):
        read(1) if flag in ("scores", "responses") else read()


def test_an_interrupted_recording_with_columns_resumes_to_the_same_bytes(full, tmp_path):
    asked = {"limit": 40, "part_size": 16, "columns": "scores, logits,features,responses"}
    interrupted_after(1, lambda: record("gated", out=tmp_path / "r", **asked, progress=False))
    with pytest.raises(PathLensError, match="other settings"):
        record("gated", out=tmp_path / "r", **{**asked, "columns": ["logits"]}, progress=False)
    record("gated", out=tmp_path / "r", **asked, progress=False)
    assert contents(tmp_path / "r") == contents(full.folder)


def test_a_reader_of_before_takes_no_harm(full):
    """What version 1 said before: the columns of `columns` and of the layers, and nothing else."""
    manifest = full.manifest
    assert manifest["format_version"] == 1
    assert set(manifest["columns"]) <= {
        "image", "label", "prediction", "confidence", "macs", "group", "content",
    }  # fmt: skip
    first = pq.read_table(full.folder / manifest["parts"][0]["file"])
    for layer in manifest["layers"]:
        assert first.schema.field("path." + layer["name"]).type.byte_width == -(
            -layer["filters"] // 8
        )


def test_an_unknown_column_lists_the_nearest():
    with pytest.raises(PathLensError, match="Unknown optional column 'score': did you mean scores"):
        record("gated", columns=["score"], progress=False)


# ------------------------------------------------------------------------------- float16


@pytest.mark.parametrize("seed", range(3))
def test_float16_keeps_finite_values_finite_and_positive_ones_positive(seed):
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-12, 8, 500)
    values = np.where(rng.random(500) < 0.5, -size, size).astype(np.float32)
    found = as_float16(values)
    for before, after in zip(values.tolist(), found.tolist(), strict=True):
        assert (before > 0) == (after > 0)
        if 1e-4 < abs(before) < 65000:
            assert after == pytest.approx(before, rel=1e-3)
        elif abs(before) >= 65000:
            assert 64000 < abs(after) < 66000
    assert np.array_equal(as_float16(found), found)
    assert np.isnan(as_float16(np.array([np.nan], dtype=np.float32))).all()


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_written_is_what_is_read(tmp_path, kind, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((11, 5)).astype(kind)
    column = FurtherColumn("score.a", kind, 5)
    ids = [f"i{k}" for k in range(11)]
    plan = Plan(
        checkpoint="",
        model="m",
        layers=LayerTable([Layer(1, "a", 5)]),
        images=11,
        fingerprint=image_fingerprint(ids),
        part_size=4,
        extra={"further_columns": [column.to_json()]},
    )
    with RecordingWriter(tmp_path / "r", plan) as writer:
        for index in range(3):
            place = plan.part_range(index)
            writer.write_part(
                index,
                PartRows(
                    images=pd.DataFrame({"image": [ids[i] for i in place]}),
                    bits={"a": values[list(place)] > 0},
                    floats={"score.a": values[list(place)]},
                ),
            )
        recording = writer.finish()
    assert np.array_equal(recording.scores("a"), values)
    recording.verify()
    bad = PartRows(
        images=pd.DataFrame({"image": ids[:4]}),
        bits={"a": values[:4] > 0},
        floats={"score.a": values[:4, :3]},
    )
    with (
        RecordingWriter(tmp_path / "s", plan) as writer,
        pytest.raises(ValueError, match=r"score\.a: "),
    ):
        writer.write_part(0, bad)


# ------------------------------------------------------------------------------- features


class Net(nn.Module):
    """A network whose parts have misleading names."""

    def __init__(self, head):
        super().__init__()
        self.fc = nn.Conv2d(3, 6, 3)
        self.classifier = nn.Conv2d(6, 8, 3)
        self.zzz = nn.Conv2d(8, 4, 1) if head == "conv" else nn.Linear(8, 4)
        self.weight = nn.Parameter(torch.randn(4, 8))
        self.head = head

    def forward(self, x):
        maps = F.relu(self.classifier(F.relu(self.fc(x))))
        pooled = maps.mean((2, 3))
        if self.head == "conv":
            return F.relu(self.zzz(maps)).mean((2, 3))
        if self.head == "map":
            return self.zzz(maps.permute(0, 2, 3, 1)).mean((1, 2))
        if self.head == "two":
            return self.zzz(pooled) + self.zzz(pooled.flip(0))
        if self.head == "functional":
            return F.linear(pooled, self.weight)
        return {"scores": self.zzz(input=pooled)}


@pytest.mark.parametrize("head", ["linear", "conv", "map"])
def test_features_are_the_classifiers_input_whatever_its_name(head):
    torch.manual_seed(0)
    net = Net(head)
    features = Features(net, torch.zeros(1, 3, 9, 9))
    assert features.size == 8
    x = torch.randn(5, 3, 9, 9)
    with features, torch.no_grad():
        net(x)
        found = features.take()
    expected = F.relu(net.classifier(F.relu(net.fc(x)))).mean((2, 3))
    torch.testing.assert_close(found, expected)
    assert not net.zzz._forward_pre_hooks
    assert net.training


@pytest.mark.parametrize("head", ["two", "functional"])
def test_a_classifier_that_cannot_be_found_is_said_in_one_sentence(head):
    with pytest.raises(
        PathLensError, match=r"classifier's input cannot be found.*without .*features"
    ):
        Features(Net(head), torch.zeros(1, 3, 9, 9))


# ------------------------------------------------------------------------------- derived images


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos")
    return tmp_path / "photos"


def group_table(with_sources=True):
    table = pd.DataFrame({"image": [f"{i}.png" for i in (5, 4, 3, 2, 1, 0)]})
    table["group"] = ["b", "b", "b", "a", "a", "a"]
    if with_sources:
        table["source_image"] = ["4.png", "", "", "1.png", "", ""]
        table["attack"] = ["fgsm 8/255", "", "", "pgd", "", ""]
    return table


def test_groups_csv_of_a_folder_is_taken(photos, tmp_path):
    group_table().to_csv(photos / "groups.csv", index=False)
    (photos / "2.png").write_bytes(b"broken")
    # A part of its own for every image, one of them without a row.
    recording = record(
        "gated", photos, out=tmp_path / "r", part_size=1, columns=ALL, progress=False
    )
    assert recording.scores(1).shape == (5, recording.layers[0].filters)
    found = recording.images.set_index("image")
    expected = group_table().set_index("image")
    assert list(found.index) == ["0.png", "1.png", "3.png", "4.png", "5.png"]
    for image in found.index:
        for column in ("group", "source_image", "attack"):
            assert found.loc[image, column] == expected.loc[image, column]
    recording.verify()


def test_another_groups_file_is_another_recording(photos, tmp_path):
    group_table(with_sources=False).to_csv(tmp_path / "mine.csv", index=False)
    recording = record(
        "gated", photos, groups=tmp_path / "mine.csv", out=tmp_path / "r", progress=False
    )
    assert list(recording.images["group"]) == ["a", "a", "a", "b", "b", "b"]
    assert "attack" not in recording.images
    changed = group_table(with_sources=False)
    changed.loc[0, "group"] = "c"
    changed.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(PathLensError, match="other settings"):
        record("gated", photos, groups=tmp_path / "mine.csv", out=tmp_path / "r", progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="group"), "needs the columns image,group"),
        (lambda t: t.iloc[1:], "no group for 1 of the 6 images, the first being '5.png'"),
        (lambda t: t.assign(group=["", *t["group"][1:]]), "no group for 1 of the 6 images"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "names the image '5.png' twice"),
        (lambda _: None, "There is no file"),
    ],
)
def test_a_bad_groups_file_is_one_clear_sentence(photos, tmp_path, change, message):
    table = change(group_table())
    if table is not None:
        table.to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(PathLensError, match=message):
        record("gated", photos, groups=tmp_path / "g.csv", out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r").exists()


def test_derived_images_can_be_imported(tmp_path):
    rng = np.random.default_rng(0)
    images = group_table()
    bits = {"a": rng.random((6, 3)) < 0.5}
    write_recording(tmp_path / "r", bits, images, part_size=4)
    recording = open_recording(tmp_path / "r")
    recording.verify()
    assert recording.images.equals(images)
    images.loc[2, "attack"] = "cw"
    with pytest.raises(PathLensError, match="other settings"):
        write_recording(tmp_path / "r", bits, images, part_size=4)


def test_the_default_folder_is_named_after_the_columns(trained, tmp_path):
    """So that a recording with floats does not meet the one without."""
    run = shutil.copytree(trained / "gated", tmp_path / "gated")
    folders = [
        record(run, limit=10, columns=columns, thumbnails=False, progress=False).folder.name
        for columns in ((), "logits,scores", ["logits"])
    ]
    assert folders == ["digits-test-10", "digits-test-10-scores-logits", "digits-test-10-logits"]
