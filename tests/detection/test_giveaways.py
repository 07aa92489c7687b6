from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pathlens.detection import fit, giveaways
from pathlens.detection.detectors import DETECTORS
from pathlens.detection.detectors.base import ByFilter
from pathlens.detection.giveaways import giveaways_of
from pathlens.detection.saving import SavedDetector
from pathlens.errors import PathLensError
from pathlens.recording import write_recording
from tests.detection.evaluation_world import clean_recording
from tests.detection.recorded_world import write_world, written

WITH_FILTERS = ["hamming", "likelihood", "soft-likelihood"]
STRANGE = [3, 5, 8]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Recordings, with fitted detectors beside the clean one."""
    found = write_world(tmp_path_factory.mktemp("giveaways"))
    fit(found["clean"], ["votes", "likelihood", "softmax"], false_alarms=0.1)
    return found


@pytest.fixture(scope="module")
def planted(made, tmp_path_factory):
    """An image of class 1 as usual as can be, but for three filters of the third layer."""
    clean = made["clean"]
    members = (clean.images["prediction"] == 1).to_numpy()
    bits = {name: clean.bits(name)[members].mean(axis=0)[None] > 0.5 for name in clean.layers.names}
    bits["body.2"][0, STRANGE] ^= True
    images = pd.DataFrame(
        {"image": ["odd/$1.png"], "prediction": [1], "source_image": ["00001.png"], "attack": ["x"]}
    )
    return write_recording(
        tmp_path_factory.mktemp("planted") / "odd",
        bits,
        images,
        classes=clean.classes,
        checkpoint="abc",
        logits=np.eye(4)[[1]],
    )


@pytest.mark.parametrize("name", WITH_FILTERS)
def test_parts_by_filter_add_up_to_those_by_layer(name, world):
    fitted = DETECTORS[name].fit(world.clean)
    by_filter, by_layer = fitted.by_filter(world.attacked), fitted.by_layer(world.attacked)
    for place, layer in enumerate(fitted.layers):
        assert by_filter[layer.name].shape == (300, layer.filters)
        np.testing.assert_allclose(by_filter[layer.name].sum(axis=1), by_layer[:, place], atol=1e-4)


@pytest.mark.parametrize("name", WITH_FILTERS)
def test_flipping_one_filter_changes_its_part_by_what_the_score_changes(name, world):
    fitted, one = DETECTORS[name].fit(world.clean), world.fresh.take([4])
    bits, scores = one.bits["conv1"].copy(), one.scores["conv1"].copy()
    bits[0, 4] ^= True
    scores[0, 4] *= -2
    moved = replace(one, bits={**one.bits, "conv1": bits}, scores={**one.scores, "conv1": scores})
    gain = fitted.score(moved) - fitted.score(one)
    change = fitted.by_filter(moved)["conv1"] - fitted.by_filter(one)["conv1"]
    np.testing.assert_allclose(change[0, 4], gain[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.delete(change[0], 4), 0, atol=1e-5)


def test_detectors_that_are_no_sums_over_filters_say_so(world):
    for name in ("votes", "pairwise", "one-class", "neighbours"):
        assert DETECTORS[name].fit(world.clean).by_filter(world.fresh) is None
    assert not isinstance(DETECTORS["softmax"].fit(world.clean), ByFilter)


def test_planted_filters_are_what_gives_the_image_away(made, planted):
    found = giveaways(planted, 0, clean=made["clean"])
    assert found.speaker == "likelihood"
    assert list(found.scores["detector"]) == ["likelihood", "softmax", "votes"]
    top = found.layers_that_add()
    assert top.iloc[0]["name"] == "body.2"
    assert set(found.filters_unlike("body.2")["filter"]) == set(STRANGE)
    assert found.filters_unlike("body.0").empty
    own = found.frame[found.frame["detector"] == "likelihood"]
    largest = own.sort_values("part", ascending=False).head(3)
    assert set(zip(largest["name"], largest["filter"], strict=True)) == {
        ("body.2", number) for number in STRANGE
    }
    row = found.scores.set_index("detector").loc["likelihood"]
    assert row["flagged"] == (row["score"] > row["threshold"])
    assert own["part"].sum() == pytest.approx(row["score"], rel=1e-5)
    votes = found.frame[found.frame["detector"] == "votes"]
    assert votes["part"].isna().all()


def test_rates_are_those_of_the_class_without_the_image_and_its_source(made, planted):
    clean = made["clean"]
    chosen = (clean.images["prediction"] == 1) & (clean.images["image"] != "00001.png")
    expected = clean.bits("body.3")[chosen.to_numpy()].mean(axis=0)
    found = giveaways(planted, "odd/$1.png", clean=clean.folder).frame
    rows = found[(found["detector"] == "likelihood") & (found["name"] == "body.3")]
    np.testing.assert_allclose(rows["class_rate"], expected)
    on = planted.bits("body.3")[0]
    np.testing.assert_allclose(rows["unlike"], np.where(on, 1 - expected, expected))


def test_it_is_said_in_words(made, planted):
    found = giveaways(planted, 0, clean=made["clean"])
    text, summary = found.text(), found.summary()
    assert "\n" not in summary
    assert "Layers that add most to likelihood: 3 (+" in summary
    row = found.filters_unlike("body.2").iloc[0]
    state = "on" if row["on"] else "off"
    share = f"{row['class_rate']:.0%}"
    assert f"filter {row['filter']} {state} although {share} have it on" in text
    assert "unlike those of most images taken for do$g:" in text
    flagged = found.scores.set_index("detector")["flagged"]["likelihood"]
    assert (": flagged" if flagged else ": not flagged") in text


def test_it_is_drawn_whatever_there_is(made, planted):
    found = giveaways(planted, 0, clean=made["clean"])
    bars = [len(axes.patches) for axes in found.plot().axes]
    assert bars == [4, 4]
    assert r"odd/\$1.png, taken for do\$g" in found.plot().get_suptitle()
    empty = replace(found, layers=found.layers.iloc[:0])
    assert empty.plot().axes


def test_an_image_of_the_clean_recording_needs_no_other(made):
    found = giveaways(made["clean"], "00007.png")
    assert found.image == "00007.png"
    row = found.scores.set_index("detector").loc["votes"]
    assert np.isfinite(row["score"])


def test_a_class_without_images_and_detectors_without_their_floats_are_left_open(world):
    saved = [
        SavedDetector(DETECTORS[name], DETECTORS[name].fit(world.clean))
        for name in ("likelihood", "mahalanobis")
    ]
    one = replace(world.attacked.take([3]), features=None)
    found = giveaways_of(one, saved, {})
    assert list(found.scores["detector"]) == ["likelihood"]
    assert "mahalanobis (This detector needs features" in found.left_out
    assert found.frame["class_rate"].isna().all()
    assert "no other image is taken for" in found.text()
    assert "no threshold was chosen" in found.summary()
    nothing = giveaways_of(one, saved[1:], {})
    assert nothing.text() == ""
    assert "No detector could look" in nothing.summary()
    assert nothing.plot().axes


def test_bad_input_is_told(made, planted, tmp_path):
    with pytest.raises(PathLensError, match="no fitted detector"):
        giveaways(planted, 0)
    for image in (9, "9", "-1", "odd.png"):
        with pytest.raises(PathLensError, match="neither an id nor a position"):
            giveaways(planted, image, clean=made["clean"])
    other = written(tmp_path / "other", clean_recording(40), "def")
    with pytest.raises(PathLensError, match="another checkpoint"):
        giveaways(planted, 0, clean=other)
