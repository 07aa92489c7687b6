import json

import numpy as np
import pytest

from pathlens.reporting.headline import cost, headline, percent
from pathlens.reporting.summary import codes, wilson_interval

BASE = {
    "recording": {"model": "net", "dataset": "data", "split": "test", "images": 1234},
    "accuracy": {
        **{"value": 0.9, "low": 0.88, "high": 0.92},
        **{"images": 1234, "commonest_class": 0.25},
    },
    "plain": None,
    "macs": {"mean": 60.0, "dense": 100, "saved": 0.4},
    "filters": {"total": 2000, "share_dynamic": 0.5, "density": 0.6, "images": 1234},
}


def sentence(**changes):
    said = "".join(text for text, _ in headline({**BASE, **changes}))
    return said.replace("\N{NO-BREAK SPACE}", " ")


def test_headline_says_everything_that_is_known():
    assert sentence() == (
        "net on data (test split), 1,234 images: 90.0 % correct (95 % interval 88.0 % to 92.0 %), "
        "against 25.0 % for always naming the commonest class; 40.0 % of multiply-adds saved; "
        "50.0 % of 2,000 filters dynamic at 1,234 images, with 60.0 % of gates on."
    )


def test_headline_compares_with_plain_on_the_same_or_other_images():
    assert "against 91.0 % for the plain network on the same images" in sentence(
        plain={"accuracy": 0.91, "images": 1234}
    )
    said = sentence(plain={"accuracy": 0.91, "images": 99, "published_accuracy": 0.92})
    assert "on 99 images and 92.0 % for the published weights" in said


def test_headline_without_labels_or_costs():
    said = sentence(accuracy=None, macs=None)
    assert "accuracy unknown, as the images have no labels; 50.0 %" in said
    assert "multiply-adds" not in said


def test_headline_does_not_call_a_loss_a_saving():
    assert "3.0 % more multiply-adds than plain" in sentence(macs={"saved": -0.03})


def test_headline_of_one_image_and_one_filter():
    said = sentence(
        recording={**BASE["recording"], "images": 1},
        filters={**BASE["filters"], "total": 1, "images": 1},
    )
    assert "1 image: " in said
    assert "of 1 filter dynamic at 1 image, with" in said


def test_percent():
    assert percent(0.12345) == "12.3\N{NO-BREAK SPACE}%"


def test_cost_takes_a_unit_that_fits():
    assert cost(26_940_000, 40_550_000) == "26.9 of 40.5 million"
    assert cost(1.5e9, 2e9) == "1.5 of 2.0 billion"
    assert cost(600.4, 1000) == "600 of 1,000"


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (17, 20), (20, 20), (860, 1000)])
def test_wilson_interval_solves_its_equation(hits, trials):
    for bound in wilson_interval(hits, trials):
        spread = 1.959964 * np.sqrt(max(0.0, bound * (1 - bound)) / trials)
        assert abs(hits / trials - bound) == pytest.approx(spread, abs=1e-9)


def test_summary_holds_the_numbers_of_the_recording(index, recording):
    numbers = json.loads((index.parent / "summary.json").read_text())
    images = recording.images
    right = sum(a == b for a, b in zip(images["label"], images["prediction"], strict=True))
    assert numbers["accuracy"]["value"] == pytest.approx(right / 150)
    assert numbers["accuracy"]["commonest_class"] == pytest.approx(1 / 3)
    assert numbers["macs"]["saved"] == pytest.approx(1 - images["macs"].mean() / 1000)
    bits = recording.path_bits()
    assert numbers["filters"]["density"] == pytest.approx(bits.mean())
    dynamic = [column.any() and not column.all() for column in bits.T]
    assert numbers["filters"]["dynamic"] == sum(dynamic)
    assert numbers["recording"]["dataset"] == "shapes"
    assert numbers["layers"][0]["ami"]["null_95"] is not None
    assert numbers["associations"]["confirmed"] > 0


def test_headline_of_a_baseline_says_what_it_is_and_claims_no_saving():
    extra = {"baseline": {"kind": "response", "rates_from": {"run": "gated", "checkpoint": "ab"}}}
    said = sentence(recording={**BASE["recording"], "codes": codes(extra)})
    assert "no paths but a baseline: responses of the plain network's filters" in said
    assert "cut to the on-rates of run gated, nothing is saved; 50.0 % of 2,000" in said
    assert "multiply-adds" not in said


def test_only_what_routes_nothing_is_called_something_else():
    assert codes({}) == codes({"content": "ab"}) == ""
    assert "not applied" in codes({"gates": "decided, but not applied"})
