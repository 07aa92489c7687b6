"""Explaining single images: against the recording, and against loops over its images."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pathlens.datasets import load_dataset
from pathlens.errors import PathLensError
from pathlens.probing.explaining import Explainer, explain
from pathlens.probing.explaining.beside import beside
from pathlens.probing.explaining.hits import hits_of, known_values
from pathlens.recorder import record
from pathlens.training import load
from tests.analysis.conftest import make_recording

from .conftest import change_gates

IMAGES = 80


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """Runs whose gates differ between images; "gated" is recorded, "unrecorded" is its copy."""
    root = tmp_path_factory.mktemp("explained")
    shutil.copytree(trained, root / "runs", ignore=shutil.ignore_patterns("recordings"))
    change_gates(root / "runs" / "gated" / "checkpoint.pt")
    shutil.copytree(root / "runs" / "gated", root / "runs" / "unrecorded")
    record(root / "runs" / "gated", limit=IMAGES, progress=False)
    return root


@pytest.fixture(scope="module")
def explainer(folder):
    return Explainer(folder / "runs" / "gated", passes=20, progress=False)


@pytest.fixture(scope="module")
def explained(explainer):
    return explainer.explain(3)


def read_pixels(image):
    split = load_dataset("digits").split("test")
    return split.read(split.ids.index(image))


def on_by_layer(explanation):
    return {name: part["on"].to_numpy() for name, part in explanation.frame.groupby("name")}


def test_recorded_images_have_the_recorded_path_and_prediction(explainer, tmp_path):
    recording = explainer.recording
    bits = {layer.name: recording.bits(layer.name) for layer in recording.layers}
    for position in range(0, IMAGES, 9):
        row = recording.images.iloc[position]
        file = tmp_path / f"{position}.png"
        Image.fromarray(read_pixels(row["image"])).save(file)
        for spec in (position, file):
            found = explainer.explain(spec)
            assert (found.image, found.label) == (row["image"], row["label"])
            assert found.prediction == row["prediction"]
            assert found.confidence == pytest.approx(row["confidence"], rel=1e-6)
            assert found.macs == row["macs"]
            for name, on in on_by_layer(found).items():
                np.testing.assert_array_equal(on, bits[name][position])
    assert any(0 < b.mean() < 1 for b in bits.values())


def test_an_image_is_found_by_position_and_by_id(explainer, explained):
    name = explainer.recording.images["image"].iloc[3]
    assert explained.image == name
    for spec in ("3", name):
        assert explainer.explain(spec).to_json() == explained.to_json()


def test_it_is_not_its_own_neighbour(explainer):
    for position in (0, 7, 33):
        found = explainer.explain(position).beside.neighbours
        assert position not in set(found["position"])
        assert found["distance"].is_monotonic_increasing


def test_tables_fit_together(explained, explainer):
    network = load(explainer.loaded.run.folder)
    frame, layers = explained.frame, explained.layers
    assert list(frame.groupby("layer").size()) == [x.filters for x in network.layers]
    assert list(layers["on"]) == list(frame.groupby("layer")["on"].sum())
    assert (frame["score"] > 0).equals(frame["on"])
    tried = frame.dropna(subset=["drop"])
    assert tried["on"].all()
    assert len(tried) + explained.flips.untried == frame["on"].sum()
    assert (frame["flips"] <= frame["drop"].notna()).all()
    assert set(frame.loc[frame["in_set"], "filter"]) == {i for _, i in explained.flips.members}
    assert (frame["becomes"] == "").equals(frame["drop"].isna())
    rate = explainer.recording.bits(1).astype(float)
    others = np.delete(np.arange(IMAGES), 3)
    np.testing.assert_allclose(frame.loc[frame["layer"] == 1, "rate"], rate[others].mean(axis=0))
    assert explained.macs_share == pytest.approx(explained.macs / network.cost.dense, abs=1e-6)


def test_unusual_gates_are_those_that_few_of_the_class_have(explained):
    for _, part in explained.frame.groupby("layer"):
        expected = sum(
            (rate <= 0.1) if on else (rate >= 0.9)
            for on, rate in zip(part["on"], part["class_rate"], strict=True)
        )
        row = explained.layers[explained.layers["name"] == part["name"].iloc[0]]
        assert row["unusual"].item() == expected


def slow_typicality(path, members):
    """Share of members less likely than the path, each under the smoothed rates of the others."""
    pool = [path, *members]

    def likelihood(k):
        rest = [pool[i] for i in range(len(pool)) if i != k]
        total = 0.0
        for f in range(len(path)):
            on = sum(other[f] for other in rest)
            rate = (on + 0.5) / (len(rest) + 1)
            total += math.log(rate if pool[k][f] else 1 - rate)
        return total

    mine = likelihood(0)
    theirs = [likelihood(k) for k in range(1, len(pool))]
    return sum(0.5 if abs(x - mine) < 1e-9 else float(x < mine) for x in theirs) / len(theirs)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("own", [None, 4])
def test_typicality_and_neighbours_are_those_of_a_loop(seed, own):
    rng = np.random.default_rng(seed)
    rates = rng.random(12)
    bits = {"a": rng.random((40, 5)) < rates[:5], "b": rng.random((40, 7)) < rates[5:]}
    bits["b"][:, 0] = True  # static: counts for no distance
    prediction = rng.integers(0, 3, 40)
    data = make_recording(bits, prediction, prediction=prediction)
    if own is None:
        path = {"a": rng.random(5) < 0.5, "b": rng.random(7) < 0.5}
    else:
        path = {name: b[own] for name, b in bits.items()}
    found = beside(data, path, 1, own=own, neighbours=6)
    others = [i for i in range(40) if i != own]
    members = [i for i in others if prediction[i] == 1]
    whole = np.concatenate([bits["a"], bits["b"]], axis=1)
    mine = np.concatenate([path["a"], path["b"]])
    assert found.images == len(members)
    assert found.percentile == pytest.approx(slow_typicality(mine, whole[members]))
    assert found.layers["percentile"].iloc[1] == pytest.approx(
        slow_typicality(path["b"], bits["b"][members])
    )
    np.testing.assert_allclose(found.rates["a"], bits["a"][members].mean(axis=0))
    assert found.layers["class_on"].iloc[0] == pytest.approx(bits["a"][members].sum(axis=1).mean())
    dynamic = [f for f in range(12) if 0 < whole[:, f].sum() < 40]
    assert found.dynamic == len(dynamic)
    distance = {i: sum(whole[i, f] != mine[f] for f in dynamic) for i in others}
    expected = sorted(others, key=lambda i: (distance[i], i))[:6]
    assert list(found.neighbours["position"]) == expected
    assert list(found.neighbours["distance"]) == [distance[i] for i in expected]
    assert found.same == sum(prediction[i] == 1 for i in expected)
    assert found.chance == pytest.approx(len(members) / len(others))


def test_among_alike_paths_every_percentile_is_as_likely_and_a_strange_one_is_low():
    percentiles = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        bits = rng.random((30, 16)) < 0.5
        data = make_recording(bits, prediction=np.zeros(30, dtype=int))
        percentiles.append(beside(data, {"conv": bits[0]}, 0, own=0).percentile)
    assert np.mean(percentiles) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.array(percentiles) < 0.25) == pytest.approx(0.25, abs=0.09)
    bits = np.random.default_rng(0).random((50, 30)) < 0.9
    data = make_recording(bits, prediction=np.zeros(50, dtype=int))
    assert beside(data, {"conv": np.zeros(30, dtype=bool)}, 0).percentile == 0
    assert beside(data, {"conv": np.ones(30, dtype=bool)}, 0).percentile > 0.9


def test_a_class_that_no_recorded_image_is_taken_for_has_no_percentile():
    data = make_recording(np.eye(4, dtype=bool), prediction=np.zeros(4, dtype=int))
    found = beside(data, {"conv": np.eye(4, dtype=bool)[0]}, 2)
    assert found.images == 0
    assert math.isnan(found.percentile)
    assert math.isnan(found.rates["conv"][0])
    assert found.chance == 0


def test_hits_are_the_combinations_whose_filters_are_all_on():
    confirmed = pd.DataFrame(
        [
            (1, "a", "0+1", "class:cat", 0.4, 0.8, 0.5, 4.0, 30, 100),
            (1, "a", "2", "class:cat", 0.6, 0.6, 0.5, 3.0, 10, 100),
            (2, "b", "0", "striped", 0.9, 0.5, 0.5, 2.0, 80, 100),
            (2, "b", "1+2", "striped", 0.2, 0.5, 0.5, 2.0, 20, 100),
        ],
        columns=[
            *("layer", "name", "combination", "concept", "phi", "precision"),
            "recall",
            "lift",
            "support",
            "n",
        ],
    )
    path = {"a": np.array([1, 0, 1], dtype=bool), "b": np.array([0, 1, 1], dtype=bool)}
    hits = hits_of(confirmed, "here", path, {"class:cat": 1.0})
    assert list(hits.frame["combination"]) == ["2", "1+2"]
    np.testing.assert_allclose(hits.frame["prevalence"], [0.2, 0.25])
    assert hits.frame["value"].iloc[0] == 1
    assert math.isnan(hits.frame["value"].iloc[1])
    concepts = hits.concepts.set_index("concept")
    assert list(concepts["hit"]) == [1, 1]
    assert concepts.loc["class:cat", "expected"] == pytest.approx(0.4)
    assert concepts.loc["striped", "expected"] == pytest.approx(1.0)
    assert list(concepts.index) == ["class:cat", "striped"]


def test_what_an_image_has_is_known_from_its_label_and_the_concept_table():
    data = make_recording(
        np.ones((2, 3), dtype=bool), [0, 1], classes=["cat", "dog"],
        concepts={"striped": np.array([0.0, 1.0]), "round": np.array([0.3, 0.0])},
    )  # fmt: skip
    found = known_values(data, "image/00000.png", 0)
    assert found == {"class:cat": 1, "class:dog": 0, "striped": 0, "round": pytest.approx(0.3)}
    assert known_values(data, None, None) == {}
    assert known_values(data, "elsewhere.png", 1) == {"class:cat": 0, "class:dog": 1}


def test_concepts_come_from_the_newest_report_of_the_recording(folder, explainer):
    report = folder / "runs" / "gated" / "reports" / "digits"
    (report / "tables").mkdir(parents=True)
    columns = "layer,name,combination,concept,n,support,lift,phi,precision,recall,confirmed"
    name = explainer.recording.layers[0].name
    lines = [columns, f"1,{name},0,planted,40,30,1.1,0.5,0.9,0.9,True"]
    lines.append(f"1,{name},1,refuted,40,30,1.1,0.5,0.9,0.9,False")
    (report / "tables" / "associations.csv").write_text("\n".join(lines) + "\n")
    for recorded, concepts in ((explainer.recording.hash, {"planted"}), ("0" * 64, None)):
        (report / "summary.json").write_text(json.dumps({"recording": {"hash": recorded}}))
        found = explain(0, folder / "runs" / "gated", passes=1, progress=False)
        names = set() if found.hits is None else set(found.hits.concepts["concept"])
        assert (names == concepts) if concepts else ("planted" not in names)
    shutil.rmtree(report.parent)


def test_without_a_recording_the_rest_still_works(folder, tmp_path):
    file = tmp_path / "nine.png"
    pixels = np.full((70, 100, 3), 255, dtype=np.uint8)
    pixels[10:60, 40:60] = 0
    Image.fromarray(pixels).save(file)
    found = explain(file, folder / "runs" / "unrecorded", passes=10, progress=False)
    assert found.beside is None
    assert found.hits is None
    assert found.label is None
    assert "pathlens record unrecorded" in found.left_out
    assert "pathlens record unrecorded" in found.text()
    assert len(found.maps) == 6
    assert found.picture.shape == (32, 32, 3)
    assert found.frame["class_rate"].isna().all()
    found.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert saved["neighbours"] == []
    assert saved["typical"] is None


def test_an_image_that_was_not_recorded_is_held_against_all(explainer, tmp_path):
    file = tmp_path / "grey.png"
    Image.new("L", (50, 40), 90).save(file)
    found = explainer.explain(file)
    assert (found.image, found.label) == (str(file), None)
    predicted = explainer.recording.images["prediction"]
    assert found.beside.images == (predicted == found.prediction).sum()
    assert found.beside.chance == pytest.approx(found.beside.images / IMAGES)


def test_it_shows_itself_with_awkward_names_as_text(explained, tmp_path):
    from dataclasses import replace

    names = tuple(f"<script>$x_{i}$ {'y' * 50}" for i in range(10))
    awkward = replace(explained, classes=names, image="<b>$a$" + "z" * 80)
    shown = awkward._repr_html_()
    assert "<script>" not in shown.split("data:image")[0]
    assert "data:image/png" in shown
    awkward.save(tmp_path)
    assert json.loads((tmp_path / "explanation.json").read_text())["prediction"] in names
    assert (tmp_path / "explanation.svg").read_bytes().startswith(b"<?xml")
    Image.open(tmp_path / "explanation.png").verify()


def test_the_same_seed_gives_the_same_explanation(explained, explainer):
    again = explainer.explain(3)
    assert again.to_json() == explained.to_json()
    pd.testing.assert_frame_equal(again.frame, explained.frame)


def test_sentences_say_the_numbers(explained):
    said = explained.summary()
    assert f"{explained.frame['on'].sum()} of {len(explained.frame)} filters" in said
    assert f"{explained.beside.same} are taken for" in said
    assert "routed through" in said
    assert "detect" not in said
    assert "Nearest recorded images" in explained.text()


def test_bad_images_are_refused_in_one_sentence(explainer, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        whole
    )
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:4000])
    cases = {
        str(tmp_path / "text.png"): "cannot be read as an image",
        str(tmp_path / "cut.png"): "cannot be read as an image",
        str(tmp_path): "is a folder",
        "test/9999999": "neither a file nor an id",
        str(IMAGES): f"positions 0 to {IMAGES - 1}",
        -1: f"positions 0 to {IMAGES - 1}",
    }
    for image, message in cases.items():
        with pytest.raises(PathLensError, match=message):
            explainer.explain(image)


def test_a_missing_file_without_a_recording_is_said(folder):
    with pytest.raises(PathLensError, match=r"no image file no\.png"):
        explain("no.png", folder / "runs" / "unrecorded", progress=False)


def test_runs_without_paths_and_recordings_of_others_are_refused(folder, explainer):
    with pytest.raises(PathLensError, match="plain network"):
        Explainer(folder / "runs" / "plain")
    with pytest.raises(PathLensError, match="at least 1"):
        Explainer(folder / "runs" / "gated", neighbours=0)
    other = folder / "runs" / "other"
    shutil.copytree(folder / "runs" / "gated", other)
    content = torch.load(other / "checkpoint.pt", weights_only=True)
    content["weights"]["model.classifier.bias"] += 1
    torch.save(content, other / "checkpoint.pt")
    with pytest.raises(PathLensError, match="another checkpoint"):
        Explainer(other, explainer.recording)
    assert "present checkpoint" in Explainer(other).missing
    assert Explainer(None, explainer.recording.folder).loaded.run.name == "gated"
    shutil.rmtree(other)
