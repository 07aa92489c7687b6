import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating.beyond_class import (
    BEYOND,
    EXPLAINED,
    UNDECIDABLE,
    class_tables,
    with_verdicts,
)
from pathlens.analysis.associating.stratified import within_class
from tests.analysis.conftest import make_recording


def images_of(rng, count, own_effect):
    """A filter and a concept that both follow the class, and hang together beyond it or not."""
    labels = rng.integers(0, 5, count)
    on = rng.random(count) < np.linspace(0.1, 0.9, 5)[labels]
    own = rng.random(count) < np.linspace(0.2, 0.8, 5)[labels]
    has = np.where(rng.random(count) < own_effect, on, own)
    return labels, on, has


def verdict_of(labels, on, has):
    found = within_class(class_tables(on, has, labels))
    frame = pd.DataFrame(
        {
            "within_class_p": [found.p],
            "within_class_p_smallest": [found.smallest],
            "within_class_or": [found.odds_ratio],
            "within_class_or_low": [found.low],
            "within_class_or_high": [found.high],
        }
    )
    return with_verdicts(frame, 0.05, "holm")["beyond_class"][0]


def test_confounded_concepts_are_rarely_beyond_and_real_ones_rarely_explained():
    rng = np.random.default_rng(0)
    runs = 150
    confounded = [verdict_of(*images_of(rng, 4000, 0.0)) for _ in range(runs)]
    assert confounded.count(BEYOND) / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert confounded.count(EXPLAINED) / runs > 0.3
    real = [verdict_of(*images_of(rng, 1000, 0.35)) for _ in range(50)]
    assert real.count(EXPLAINED) == 0
    assert real.count(BEYOND) / 50 > 0.9


def test_few_images_decide_nothing():
    rng = np.random.default_rng(1)
    few = [verdict_of(*images_of(rng, 120, 0.0)) for _ in range(40)]
    assert few.count(UNDECIDABLE) >= 36
    assert few.count(EXPLAINED) == 0


def test_a_significant_but_negligible_effect_is_explained():
    frame = pd.DataFrame(
        {
            "within_class_p": [1e-9, 1e-9, 0.5, np.nan],
            "within_class_p_smallest": [0.0, 0.0, 0.0, np.nan],
            "within_class_or_low": [1.05, 1.3, 0.7, np.nan],
            "within_class_or_high": [1.2, 1.6, 1.1, np.nan],
        }
    )
    found = with_verdicts(frame, 0.05, "holm")["beyond_class"].tolist()
    assert found == [EXPLAINED, BEYOND, UNDECIDABLE, ""]


@pytest.mark.parametrize("seed", range(2))
def test_the_table_tells_concepts_of_the_class_from_those_beyond_it(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 6000)
    bits = rng.random((6000, 10)) < (0.2 + 0.2 * (labels[:, None] == np.arange(10) % 4))
    beyond = np.where(rng.random(6000) < 0.5, bits[:, 8], rng.random(6000) < 0.3)
    confounded = rng.random(6000) < np.where(labels == 1, 0.7, 0.1)
    concepts = {"beyond": beyond, "confounded": confounded, "set": labels < 2}
    found = associations(
        make_recording(bits, labels, classes="abcd", concepts=concepts), seed=seed, resamples=0
    )
    best = found.confirmed.sort_values("phi", ascending=False).drop_duplicates("concept")
    verdicts = best.set_index("concept")["beyond_class"]
    assert verdicts["beyond"] == BEYOND
    assert verdicts["confounded"] in (EXPLAINED, UNDECIDABLE)
    sets = found.frame[found.frame["concept"].str.startswith(("class:", "set"))]
    assert len(sets)
    assert (sets["beyond_class"] == "").all()
    assert sets["within_class_or_low"].isna().all()
    assert "explained by it" in found.summary()
