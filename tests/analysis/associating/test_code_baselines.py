import numpy as np
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating.targets import split_halves
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording


@pytest.fixture(scope="module")
def codes():
    """Paths that carry a planted combination, the same with noise, and codes of pure chance."""
    rng = np.random.default_rng(0)
    bits = rng.random((1200, 10)) < 0.5
    concepts = {"planted": (bits[:, 1] & bits[:, 6]) ^ (rng.random(1200) < 0.05)}
    own = make_recording(bits, concepts=concepts)
    noisy = make_recording(bits ^ (rng.random(bits.shape) < 0.15))
    order = rng.permutation(1200)
    noisy.images = noisy.images.iloc[order].reset_index(drop=True)
    noisy.bits_by_layer = {"conv": noisy.bits_by_layer["conv"][order]}
    return own, noisy, make_recording(rng.random((1200, 10)) < 0.5)


def test_each_association_stands_beside_each_baseline(codes):
    own, noisy, chance = codes
    found = associations(own, seed=2, baselines={"noisy": noisy, "chance": chance})
    keys = ["layer", "combination", "concept"]
    rows = found.baselines.groupby("baseline")
    assert set(rows.groups) == {"noisy", "chance"}
    for _, some in rows:
        assert sorted(map(tuple, some[keys].values)) == sorted(map(tuple, found.frame[keys].values))
    best = found.baselines[found.baselines["combination"] == "1+6"].set_index("baseline")
    phi = found.frame.set_index("combination")["phi"]["1+6"]
    assert best["difference"].tolist() == pytest.approx((phi - best["phi"]).tolist())
    assert (best["difference_ci_low"] > 0.1).all()
    assert (best["difference_ci_low"] < best["difference"]).all()
    assert best["phi_ci_low"]["noisy"] < best["phi"]["noisy"] < best["phi_ci_high"]["noisy"]
    assert best["baseline_combination"]["noisy"] == "1+6"


def test_phi_of_a_baseline_is_on_the_same_confirmation_images(codes):
    own, noisy, _ = codes
    found = associations(own, seed=2, baselines={"noisy": noisy}).baselines
    tested = ~split_halves(own.images, 2)
    table = own.concepts()
    has = own.images["image"].isin(table.loc[table["concept"] == "planted", "image"]).to_numpy()
    rows = noisy.images.reset_index().set_index("image")["index"][own.images["image"]].to_numpy()
    bits = noisy.bits_by_layer["conv"][rows]
    on = bits[:, [1, 6]].all(axis=1)
    expected = np.corrcoef(on[tested], has[tested])[0, 1]
    assert found["phi"].tolist() == pytest.approx([expected] * len(found))


def test_baselines_change_nothing_else(codes):
    own, noisy, _ = codes
    alone = associations(own, seed=2)
    beside = associations(own, seed=2, baselines={"noisy": noisy})
    assert alone.frame.equals(beside.frame)
    assert alone.question == beside.question
    assert alone.baselines.empty
    assert alone.baselines.columns.tolist() == beside.baselines.columns.tolist()


def test_the_same_codes_differ_by_nothing(codes):
    own, _, _ = codes
    found = associations(own, seed=2, top=1, baselines={"same": own}).baselines
    assert (found["difference"] == 0).all()
    assert (found[["difference_ci_low", "difference_ci_high"]] == 0).all(axis=None)


def test_a_baseline_without_candidates_reaches_nothing(codes):
    own, _, _ = codes
    still = make_recording(np.ones((1200, 10), dtype=bool))
    found = associations(own, seed=2, baselines={"still": still})
    assert (found.baselines["phi"] == 0).all()
    assert (found.baselines["baseline_combination"] == "").all()
    assert found.baselines["difference"].max() == pytest.approx(found.frame["phi"].max())
    assert found.plot()


def test_a_baseline_of_other_images_is_refused(codes):
    own, noisy, _ = codes
    short = make_recording(noisy.bits_by_layer["conv"][:50])
    with pytest.raises(PathLensError, match="lacks"):
        associations(own, baselines={"short": short})
