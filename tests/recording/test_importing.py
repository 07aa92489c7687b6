import numpy as np
import pandas as pd
import pytest

from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerTable
from pathlens.recording import open_recording, write_recording

from .helpers import contents


def codes(seed=0, images=20):
    rng = np.random.default_rng(seed)
    return {"b": rng.random((images, 9)) < 0.5, "a.x": rng.random((images, 16)) < 0.5}


def table(images=20):
    return pd.DataFrame({"image": [f"i{k}" for k in range(images)]})


@pytest.mark.parametrize("seed", [0, 1])
def test_codes_of_another_method(tmp_path, seed):
    rng = np.random.default_rng(seed)
    images = table().assign(
        group="g",
        confidence=rng.random(20),
        label=rng.integers(0, 2, 20).astype(np.uint8),
        prediction=rng.integers(0, 5, 20),
    )
    concepts = pd.DataFrame({"image": ["i1"], "concept": ["red"]})
    pictures = [rng.bytes(5) for _ in range(20)]
    write_recording(
        tmp_path / "r",
        codes(seed),
        images,
        classes=("no", "yes"),
        thumbnails=pictures,
        concepts=concepts,
        part_size=8,
        extra={"method": "sparse autoencoder"},
    )
    recording = open_recording(tmp_path / "r")
    recording.verify()
    assert recording.layers.names == ["b", "a.x"]
    for name, bits in codes(seed).items():
        np.testing.assert_array_equal(recording.bits(name), bits)
    found = recording.images
    assert list(found.columns) == ["image", "label", "prediction", "confidence", "group"]
    assert found.dtypes[["label", "confidence"]].tolist() == [np.int64, np.float32]
    np.testing.assert_array_equal(found["label"], images["label"])
    np.testing.assert_allclose(found["confidence"], images["confidence"], rtol=1e-6)
    assert recording.concepts().to_dict("list") == {
        "image": ["i1"],
        "concept": ["red"],
        "value": [1.0],
    }
    assert recording.thumbnails(range(20)) == pictures
    assert recording.classes == ("no", "yes")
    assert recording.manifest["extra"]["method"] == "sparse autoencoder"


def test_only_ids_are_needed_and_odd_indices_do_no_harm(tmp_path):
    images = table().set_index(np.arange(20)[::-1])
    recording = write_recording(tmp_path / "r", codes(), images)
    assert list(recording.images.columns) == ["image"]
    assert recording.images["image"].tolist() == images["image"].tolist()
    recording.verify()


def test_writing_it_again_changes_nothing_and_repairs(tmp_path):
    write_recording(tmp_path / "r", codes(), table(), part_size=6)
    before = contents(tmp_path / "r")
    write_recording(tmp_path / "r", codes(), table(), part_size=6)
    assert contents(tmp_path / "r") == before
    (tmp_path / "r/part-00002.parquet").unlink()
    write_recording(tmp_path / "r", codes(), table(), part_size=6)
    assert contents(tmp_path / "r") == before


@pytest.mark.parametrize("what", ["bits", "confidence", "picture"])
def test_other_content_is_another_recording(tmp_path, what):
    images = table().assign(confidence=0.5)
    pictures = [b"x"] * 20
    write_recording(tmp_path / "r", codes(), images, thumbnails=pictures)
    bits = codes()
    if what == "bits":
        bits["b"][3, 4] ^= True
    elif what == "confidence":
        images.loc[2, "confidence"] = 0.25
    else:
        pictures[7] = b"y"
    with pytest.raises(PathLensError, match="other settings: give another --out"):
        write_recording(tmp_path / "r", bits, images, thumbnails=pictures)


def test_a_layer_table_can_say_more(tmp_path):
    layers = LayerTable([Layer(1, "a.x", 16, macs=7), Layer(2, "b", 9)])
    recording = write_recording(tmp_path / "r", codes(), table(), layers=layers)
    assert recording.layers.find("a.x").macs == 7
    np.testing.assert_array_equal(recording.bits(2), codes()["b"])
    with pytest.raises(PathLensError, match="do not name the same layers"):
        write_recording(tmp_path / "s", {"b": codes()["b"]}, table(), layers=layers)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": table().rename(columns={"image": "name"})}, "no column 'image'"),
        ({"images": table().assign(score=1)}, "Unknown image columns score"),
        ({"images": table(19)}, "Layer 'b' has bits of 20 images and the table names 19"),
        ({"images": table().assign(image="same")}, "'same' occurs twice"),
        ({"images": table().assign(image=range(20))}, "'image' holds values that are not text"),
        ({"images": table().assign(label=0.5)}, "'label' has dtype float64: give whole numbers"),
        ({"images": table().assign(label="cat")}, "'label' has dtype"),
        ({"images": table().assign(label=2), "classes": ("x", "y")}, "Label 2 .*0 to 1"),
        ({"images": table().assign(label=-1)}, "Label -1"),
        ({"images": table().assign(confidence=np.nan)}, "'confidence' has empty values"),
        ({"images": table(0), "bits": codes(images=0)}, "no images"),
        ({"bits": {}}, "no layers"),
        ({"bits": {"b": codes()["b"] * 1.0}}, "'b' have dtype float64: give a bool array"),
        ({"bits": {"b": codes()["b"][:, 0]}}, "have shape"),
        ({"bits": {"b": codes()["b"][:, :0]}}, "have shape"),
        ({"thumbnails": [b""]}, "1 thumbnails for 20 images"),
        ({"part_size": 0}, "at least 1 image"),
        ({"concepts": pd.DataFrame({"image": ["i1"]})}, "needs the columns image, concept"),
        (
            {"concepts": pd.DataFrame({"image": ["i1"], "concept": ["c"], "value": [2]})},
            "not numbers from 0 to 1",
        ),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_no_folder(tmp_path, change, words):
    arguments = {"bits": codes(), "images": table(), **change}
    bits, images = arguments.pop("bits"), arguments.pop("images")
    with pytest.raises(PathLensError, match=words):
        write_recording(tmp_path / "r", bits, images, **arguments)
    assert not (tmp_path / "r").exists()


def floats(seed=0, images=20):
    rng = np.random.default_rng(seed)
    by_layer = {name: rng.normal(size=bits.shape) for name, bits in codes(seed, images).items()}
    return {
        "scores": by_layer,
        "responses": {name: values**2 for name, values in by_layer.items()},
        "features": rng.normal(size=(images, 5)).astype(np.float32),
        "logits": rng.normal(size=(images, 3)),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_floats_travel_with_the_codes(tmp_path, seed):
    given = floats(seed)
    recording = write_recording(tmp_path / "r", codes(seed), table(), **given, part_size=8)
    recording.verify()
    for name in codes(seed):
        np.testing.assert_allclose(recording.scores(name), given["scores"][name], rtol=1e-3)
        np.testing.assert_allclose(recording.responses(name), given["responses"][name], rtol=1e-6)
        np.testing.assert_array_equal(recording.bits(name), codes(seed)[name])
    np.testing.assert_array_equal(recording.features(), given["features"])
    np.testing.assert_allclose(recording.logits(), given["logits"], rtol=1e-6)
    some = write_recording(tmp_path / "some", codes(seed), table(), logits=given["logits"])
    assert [column.name for column in some.listing.plan.further] == ["logits"]
    with pytest.raises(PathLensError, match="other settings"):
        write_recording(tmp_path / "some", codes(seed), table(), logits=given["logits"] + 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": {"b": np.zeros((20, 9))}}, "do not name the same layers"),
        (
            {"responses": {"b": np.zeros((20, 9)), "a.x": np.zeros((20, 9))}},
            "'response.a.x' has sh",
        ),
        ({"features": np.zeros((19, 4))}, r"'features' has shape \(19, 4\)"),
        ({"features": np.zeros((20, 0))}, "'features' has shape"),
        ({"logits": np.zeros(20)}, "'logits' has shape"),
        ({"logits": np.zeros((20, 3), dtype=int)}, "dtype int64: give floats"),
        ({"logits": np.zeros((20, 3)), "classes": ("x", "y")}, "of 3 classes and 2 are named"),
    ],
)
def test_floats_that_do_not_fit(tmp_path, change, words):
    with pytest.raises(PathLensError, match=words):
        write_recording(tmp_path / "r", codes(), table(), **change)
    assert not (tmp_path / "r").exists()


def test_codes_that_were_not_applied_say_so(tmp_path):
    applied = write_recording(tmp_path / "a", codes(), table(), extra={"method": "x"})
    beside = write_recording(tmp_path / "b", codes(), table(), unapplied=True)
    assert "gates" not in applied.manifest["extra"]
    assert beside.manifest["extra"]["gates"] == "decided, but not applied"
