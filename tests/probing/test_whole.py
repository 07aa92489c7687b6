"""One call measures everything that the page wants to know, and the page shows it."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.errors import PathLensError
from pathlens.probing import explain, explained_examples, probe
from pathlens.probing.examples import FILTERS, SIDE
from pathlens.probing.whole import class_signatures
from pathlens.recording.beside import ABLATIONS, EXAMPLES, PATH_SWAPS, read_beside, read_examples
from pathlens.reporting import report


@pytest.fixture
def probed(lively, monkeypatch):
    monkeypatch.setattr("pathlens.probing.whole.SIGNATURE", 2)
    sentences = list(probe(lively, images=30, progress=False))
    return lively, sentences


def test_all_three_are_measured_and_shown(probed):
    recording, sentences = probed
    assert len(sentences) == 3
    assert {x.name for x in recording.folder.iterdir()} >= {PATH_SWAPS, ABLATIONS, EXAMPLES}
    assert set(read_beside(recording, PATH_SWAPS)["layer"]) == {"all"}
    named = set(read_beside(recording, ABLATIONS)["set"])
    assert named == {f"signature of {name}" for name in recording.classes}
    page = report(recording, layers=[1], progress=False)
    numbers = json.loads((page.parent / "summary.json").read_text())
    assert not {"path swaps", "ablations", "explained images"} & set(numbers["gaps"])
    assert len(pd.read_csv(page.parent / "tables" / "ablations.csv"))


def test_examples_are_what_explain_says(lively):
    explained_examples(lively, tried=4, kept=2, progress=False)
    kept = read_examples(lively)
    assert len(kept) == 2
    for one in kept:
        alone = explain(one["image"], recording=lively, progress=False)
        assert one["prediction"] == alone.prediction == one["label"]
        assert one["flips"] == alone.flips.flips
        number = {layer.name: layer.index for layer in lively.layers}
        assert one["set"] == [[number[name], index] for name, index in alone.flips.members]
        assert 1 <= len(one["filters"]) <= FILTERS
        overlay = Image.open(io.BytesIO(base64.b64decode(one["filters"][0]["overlay"])))
        whole = Image.open(io.BytesIO(base64.b64decode(one["picture"])))
        assert max(overlay.size) == SIDE
        assert np.asarray(overlay).mean() < np.asarray(whole).mean()


def test_examples_prefer_decisions_that_hang_on_few_filters(lively):
    explained_examples(lively, tried=6, kept=6, progress=False)
    keys = [(not one["flips"], len(one["set"])) for one in read_examples(lively)]
    assert len(keys) == 6
    assert keys == sorted(keys)


def test_examples_of_another_recording_are_not_read(lively):
    explained_examples(lively, tried=1, kept=1, progress=False)
    path = lively.folder / EXAMPLES
    path.write_text(path.read_text().replace(lively.hash, "0" * 64))
    assert read_examples(lively) is None
    path.write_text("{")
    with pytest.raises(PathLensError, match="damaged: make it again"):
        read_examples(lively)


def test_signatures_are_of_the_classes(lively):
    found = class_signatures(lively)
    assert list(found) == [f"signature of {name}" for name in lively.classes]
    codes = lively.images["label"].to_numpy()
    for number, filters in enumerate(found.values()):
        for layer, chosen in filters.items():
            bits = lively.bits(layer)[:, chosen]
            assert (bits[codes == number].mean(0) > bits[codes != number].mean(0)).all()
