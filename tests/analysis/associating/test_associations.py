import itertools
import time

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from pathlens.analysis import associations
from pathlens.analysis.associating.associations import COLUMNS
from pathlens.analysis.associating.search import search_layer
from pathlens.analysis.statistics import phi
from pathlens.errors import PathLensError
from tests.analysis.conftest import concept_table, make_recording, planted


def exhaustive(bits, concepts, top):
    """All singles and pairs one by one, as the documentation of the search says it."""
    found = []
    dynamic = [j for j in range(bits.shape[1]) if 0 < bits[:, j].sum() < len(bits)]
    for c in range(concepts.shape[1]):

        def score(on, c=c):
            has = concepts[:, c]
            return float(phi((on & has).sum(), on.sum(), has.sum(), len(on)))

        single = {(j,): score(bits[:, j]) for j in dynamic}
        pairs = {
            (i, j): score(bits[:, i] & bits[:, j]) for i, j in itertools.combinations(dynamic, 2)
        }
        kept = {p: v for p, v in pairs.items() if v > max(single[p[:1]], single[p[1:]])}
        ranked = sorted((single | kept).items(), key=lambda kv: (-kv[1], len(kv[0]), kv[0]))
        found += [(c, members, value) for members, value in ranked[:top] if value > 0]
    return found


@pytest.mark.parametrize("seed", range(12))
def test_search_equals_the_exhaustive_oracle(seed):
    rng = np.random.default_rng(seed)
    images, filters = int(rng.integers(8, 120)), int(rng.integers(1, 12))
    bits = rng.random((images, filters)) < rng.random(filters)
    # Doubled columns and small numbers make many ties.
    bits = np.hstack([bits, bits[:, :2]])
    concepts = rng.random((images, 4)) < 0.4
    concepts[:, 0] = bits[:, 0] & bits[:, -1]
    top = int(rng.integers(1, 6))
    found = search_layer(bits, concepts, max_size=2, top=top)
    ours = [
        (int(c), tuple(int(i) for i in m if i >= 0), value)
        for c, m, value in zip(found.concept, found.members, found.phi, strict=True)
    ]
    slow = exhaustive(bits, concepts, top)
    assert [x[:2] for x in ours] == [x[:2] for x in slow]
    assert [x[2] for x in ours] == pytest.approx([x[2] for x in slow])
    best = {c: m[0] for c, m, _ in reversed(exhaustive(bits, concepts, 999)) if len(m) == 1}
    assert all(best[int(c)] == s for c, s in zip(found.concept, found.best_single, strict=True))


def test_search_does_not_depend_on_chunks(monkeypatch):
    bits, labels = planted(0, images=500)
    concepts = labels[:, None] == np.arange(4)
    whole = search_layer(bits, concepts, max_size=2, top=3)
    monkeypatch.setattr("pathlens.analysis.associating.search._CHUNK", 9)
    parts = search_layer(bits, concepts, max_size=2, top=3)
    assert (whole.members == parts.members).all()
    assert (whole.phi == parts.phi).all()


def recording_with_pair(seed, images=1200, noise=0.05, **columns):
    rng = np.random.default_rng(seed)
    bits = rng.random((images, 20)) < rng.uniform(0.3, 0.7, 20)
    planted_concept = (bits[:, 4] & bits[:, 11]) ^ (rng.random(images) < noise)
    concepts = {"planted": planted_concept, "coin": rng.random(images) < 0.3}
    return make_recording(
        {"a": bits, "b": rng.random((images, 12)) < 0.5}, concepts=concepts, **columns
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_pair_is_found_confirmed_and_gains(seed):
    found = associations(recording_with_pair(seed), seed=seed)
    assert tuple(found.frame.columns) == COLUMNS
    best = found.frame.iloc[0]
    assert (best["layer"], best["combination"], best["concept"]) == (1, "4+11", "planted")
    assert best["confirmed"]
    assert best["gain_ci_low"] > 0.1
    assert set(found.confirmed["concept"]) == {"planted"}
    assert "4+11 of layer 1 (a)" in found.summary()


def test_every_number_against_slow_counting():
    recording = recording_with_pair(0, images=300)
    found = associations(recording, seed=3, resamples=50)
    from pathlens.analysis.associating.targets import split_halves

    confirmation = ~split_halves(recording.images, 3)
    table = recording.concepts()
    for row in found.frame.to_dict("records"):
        bits = recording.bits_by_layer[row["name"]][confirmation]
        has = recording.images["image"].isin(table.loc[table["concept"] == row["concept"], "image"])
        has = has.to_numpy()[confirmation]
        on = np.all([bits[:, int(i)] for i in row["combination"].split("+")], axis=0)
        assert (row["n"], row["support"]) == (150, on.sum())
        assert row["precision"] == pytest.approx(has[on].mean())
        assert row["recall"] == pytest.approx(on[has].mean())
        assert row["lift"] == pytest.approx(has[on].mean() / has.mean())
        assert row["phi"] == pytest.approx(np.corrcoef(on, has)[0, 1])
        p, r = row["precision"], row["recall"]
        assert row["f1"] == pytest.approx(2 * p * r / (p + r))
        assert row["phi_ci_low"] <= row["phi"] <= row["phi_ci_high"]
        assert np.isnan(row["gain_over_best_single"]) == ("+" not in row["combination"])
    assert found.searched == {
        "layers": 2,
        "filters": 32,
        "candidates": 2 * (20 + 190 + 12 + 66),
        "concepts": 2,
        "tested": len(found.frame),
        "discovery": 150,
        "confirmation": 150,
    }
    ordered = found.frame.sort_values(["layer", "p"], kind="stable")
    assert ordered.index.tolist() == list(range(len(found.frame)))


def test_the_gain_is_over_the_single_filter_that_discovery_chose():
    recording = recording_with_pair(1)
    found = associations(recording, seed=1)
    singles = associations(recording, seed=1, max_size=1, top=1, resamples=0).frame
    chosen = singles[singles["layer"] == 1].set_index("concept")["phi"]
    row = found.frame.iloc[0]
    assert row["gain_over_best_single"] == pytest.approx(row["phi"] - chosen[row["concept"]])
    assert row["gain_ci_low"] < row["gain_over_best_single"] < row["gain_ci_high"]


def test_search_never_sees_confirmation_images():
    recording = recording_with_pair(2)
    from pathlens.analysis.associating.targets import split_halves

    discovery = split_halves(recording.images, 0)
    changed = {
        name: np.where(discovery[:, None], bits, ~bits)
        for name, bits in recording.bits_by_layer.items()
    }
    other = make_recording(changed)
    other.table = recording.table
    one, two = associations(recording).frame, associations(other).frame
    keys = ["layer", "concept", "combination", "phi_discovery"]
    assert (
        one[keys].sort_values(keys).values.tolist() == two[keys].sort_values(keys).values.tolist()
    )


def test_without_any_association_claims_stay_within_the_level():
    runs, claimed = 200, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        bits = rng.random((160, 12)) < rng.uniform(0.2, 0.8, 12)
        bits[:, 1] = bits[:, 0] ^ (rng.random(160) < 0.2)
        labels = rng.integers(0, 3, 160)
        recording = make_recording(
            bits, labels, classes="abc", concepts={"x": rng.random(160) < 0.4}
        )
        claimed += associations(recording, seed=seed, resamples=0).frame["confirmed"].any()
    assert claimed / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_naive_claims_on_discovery_would_fail_that_null():
    """The null test can fail: testing on the images that were searched claims far too much."""
    from pathlens.analysis.associating.confirmation import confirm
    from pathlens.analysis.statistics import holm

    claimed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bits, concepts = rng.random((80, 30)) < 0.5, rng.random((80, 3)) < 0.4
        found = search_layer(bits, concepts, max_size=2, top=3)
        p = confirm(bits, concepts, found, resamples=0, rng=rng)["p"].to_numpy()
        claimed += bool((holm(p) <= 0.05).any())
    assert claimed / 60 > 0.5


def test_classes_are_concepts_and_groups_stay_whole():
    bits, labels = planted(0, images=400)
    group = [f"video {i // 8}" for i in range(400)]
    recording = make_recording(bits, labels, classes="abcd", group=group)
    from pathlens.analysis.associating.targets import split_halves

    discovery = pd.Series(split_halves(recording.images, 5)).groupby(group)
    assert (discovery.nunique() == 1).all()
    assert discovery.first().sum() == 25
    recording.images.loc[:7, "group"] = ""
    alone = pd.Series(split_halves(recording.images, 5)).groupby(group).nunique()
    assert alone.tolist().count(2) == 1
    found = associations(recording)
    assert set(found.frame["concept"]) == {f"class:{x}" for x in "abcd"}
    assert "57 groups of images" in found.left_out


def test_shares_are_on_above_the_median_of_positive_discovery_values():
    from pathlens.analysis.associating.targets import table_targets

    values = np.array([0, 0.1, 0.2, 0.3, 0.4, 0, 0.9, 0.9] * 20)
    recording = make_recording(np.zeros((160, 1), dtype=bool), concepts={"share": values})
    discovery = np.arange(160) % 8 < 5
    targets = table_targets(recording, recording.table, discovery)
    # Positive discovery values are 0.1 to 0.4, their median is 0.25.
    assert (targets.found[:, 0] == (values[discovery] > 0.25)).all()
    assert (targets.tested[:, 0] == (values[~discovery] > 0.25)).all()


def test_images_that_the_table_does_not_name_are_left_out():
    recording = recording_with_pair(0)
    recording.table = recording.table[recording.table["image"] < "image/00800"]
    found = associations(recording)
    assert "400 images that the concept table does not name" in found.left_out
    assert found.frame["n"].between(350, 450).all()
    stranger = concept_table(["elsewhere.png"], {"x": np.ones(1)})
    with pytest.raises(PathLensError, match=r"elsewhere\.png"):
        associations(recording, concepts=stranger)


def test_what_cannot_be_tested_is_named():
    bits, labels = planted(0, images=200)
    rare = np.zeros(200, dtype=bool)
    rare[:4] = True
    concepts = {"rare": rare, "always": np.ones(200, dtype=bool), "warm": labels < 2}
    still = np.ones((200, 3), dtype=bool)
    recording = make_recording({"s": still, "d": bits}, labels, classes="abcd", concepts=concepts)
    found = associations(recording)
    assert "rare" in found.left_out
    assert "all or none of the images of a half have (always" in found.left_out
    assert "1 layer without dynamic filters (s)" in found.left_out
    assert found.within_class == ("warm",)
    assert "1 concept is the same for all images of a class (warm)" in found.summary()
    assert set(found.frame["layer"]) == {2}


def test_degenerate_recordings_get_an_answer():
    bits, labels = planted(0, images=40)
    nothing = associations(make_recording(bits))
    assert nothing.frame.empty
    assert tuple(nothing.frame.columns) == COLUMNS
    assert "neither labels nor a concept table" in nothing.left_out
    one_class = associations(make_recording(bits, labels * 0, classes="a"))
    assert "No association could be tested" in one_class.summary()
    few = associations(make_recording(bits[:12], labels[:12], classes="abcd"))
    assert few.frame.empty
    assert "fewer than 5 images in a half" in few.left_out
    still = associations(make_recording(bits | True, labels, classes="abcd"))
    assert still.confirmed.empty
    predicted = associations(make_recording(bits, prediction=labels, classes="abcd"))
    assert predicted.frame.empty
    with pytest.raises(PathLensError, match="1 image in 1 group cannot be split"):
        associations(make_recording(bits[:1], labels[:1], classes="abcd"))
    with pytest.raises(PathLensError, match="at least two groups"):
        associations(make_recording(bits, labels, group=["one"] * 40))


@pytest.mark.parametrize(
    "option", [{"max_size": 3}, {"top": 0}, {"level": 0}, {"level": 1.5}, {"resamples": -1}]
)
def test_bad_options_are_one_sentence(option):
    with pytest.raises(PathLensError, match=next(iter(option))):
        associations(recording_with_pair(0, images=60), **option)


def test_layers_and_seed_decide_alone():
    recording = recording_with_pair(0)
    one, same = associations(recording, seed=4), associations(recording, seed=4)
    assert one.frame.equals(same.frame)
    alone = associations(recording, ["b"], seed=4).frame
    kept = ["combination", "concept", "phi", "phi_ci_low", "phi_ci_high", "p"]
    within = one.frame[one.frame["layer"] == 2].reset_index(drop=True)
    assert alone[kept].equals(within[kept])
    assert not associations(recording, seed=5).frame["phi"].equals(one.frame["phi"])


def test_a_whole_network_takes_seconds():
    rng = np.random.default_rng(0)
    layers = {f"l{i}": rng.random((2000, 64)) < 0.5 for i in range(18)}
    concepts = {f"c{i}": rng.random(2000) < 0.2 for i in range(20)}
    recording = make_recording(layers, concepts=concepts)
    start = time.process_time()
    # Idle BLAS threads spin, which counts as time on a busy machine.
    with threadpool_limits(1):
        found = associations(recording)
    assert found.searched["candidates"] == 18 * 20 * (64 + 64 * 63 // 2)
    assert time.process_time() - start < 10
