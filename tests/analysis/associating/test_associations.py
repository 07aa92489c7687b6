import time

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from pathlens.analysis import associations
from pathlens.analysis.associating.association_table import COLUMNS, MAIN_COLUMNS
from pathlens.analysis.associating.confirmation import EFFECTS, confirm
from pathlens.analysis.associating.resampling import Resampling
from pathlens.analysis.associating.search import search_layer
from pathlens.analysis.associating.targets import split_halves, table_targets
from pathlens.analysis.associating.trial import Half, Trial
from pathlens.analysis.statistics import fisher_greater, holm
from pathlens.errors import PathLensError
from tests.analysis.conftest import concept_table, make_recording, planted


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
    assert "planted" in set(found.confirmed["concept"])
    assert "4+11 of layer 1 (a)" in found.summary()


def test_beside_a_planted_pair_other_claims_are_as_rare_as_the_level_allows():
    others = [
        set(associations(recording_with_pair(seed), seed=seed, resamples=0).confirmed["concept"])
        - {"planted"}
        for seed in range(12)
    ]
    assert sum(map(bool, others)) <= 2  # more has a chance of 2 % where each has one of 5 %


def test_every_number_against_slow_counting():
    recording = recording_with_pair(0, images=300)
    found = associations(recording, seed=3, resamples=50)
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
        assert row["image_iou"] == pytest.approx((on & has).sum() / (on | has).sum())
        for name in EFFECTS:
            assert row[f"{name}_ci_low"] <= row[name] <= row[f"{name}_ci_high"]
        both, left, right = (np.array([x.sum()]) for x in (on & has, on, has))
        assert row["p"] == pytest.approx(fisher_greater(both, left, right, 150)[0])
        least = fisher_greater(np.minimum(left, right), left, right, 150)[0]
        assert row["p_smallest"] == pytest.approx(least)
        assert np.isnan(row["gain_over_best_single"]) == ("+" not in row["combination"])
    assert found.frame["p_corrected"].tolist() == pytest.approx(holm(found.frame["p"].to_numpy()))
    assert found.searched.pop("visited") <= 2 * (20 + 190 + 1140 + 12 + 66 + 220)
    assert found.searched == {
        "layers": 2,
        "filters": 32,
        "candidates": 2 * (20 + 190 + 1140 + 12 + 66 + 220),
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
    runs, claimed = 80, 0
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
    claimed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bits, concepts = rng.random((80, 30)) < 0.5, rng.random((80, 3)) < 0.4
        found = search_layer(bits, concepts, max_size=2, top=3)
        half = Half(bits, concepts)
        p = confirm(Trial(half, half, found), Resampling(None, 0), rng)["p"].to_numpy()
        claimed += bool((holm(p) <= 0.05).any())
    assert claimed / 60 > 0.5


def test_classes_are_concepts_and_groups_stay_whole():
    bits, labels = planted(0, images=400)
    group = [f"video {i // 8}" for i in range(400)]
    recording = make_recording(bits, labels, classes="abcd", group=group)
    discovery = pd.Series(split_halves(recording.images, 5)).groupby(group)
    assert (discovery.nunique() == 1).all()
    assert discovery.first().sum() == 25
    recording.images.loc[:7, "group"] = ""
    alone = pd.Series(split_halves(recording.images, 5)).groupby(group).nunique()
    assert alone.tolist().count(2) == 1
    found = associations(recording)
    assert set(found.frame["concept"]) == {f"class:{x}" for x in "abcd"}
    assert (found.frame["groups"] > 20).all()
    recording.table = concept_table(recording.images["image"], {"x": bits[:, 0]})
    found = associations(recording)
    assert "within classes, as images in 57 groups depend on each other" in found.left_out
    assert (found.frame["beyond_class"] == "").all()


def test_shares_are_on_above_the_median_of_positive_discovery_values():
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
    assert found.class_sets == {"warm": (2, 4)}
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
    assert "classes, as all images are of one (a)" in one_class.left_out
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
    "option",
    [
        {"max_size": 0},
        {"top": 0},
        {"level": 0},
        {"level": 1.5},
        {"resamples": -1},
        {"correction": "none"},
        {"threshold": 1.0},
        {"quality": "beauty"},
        {"beam": 0},
        {"min_support": 0},
        {"sequence": True},
    ],
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
    layers = {f"l{i}": rng.random((2000, 64)) < 0.5 for i in range(6)}
    concepts = {f"c{i}": rng.random(2000) < 0.2 for i in range(20)}
    recording = make_recording(layers, concepts=concepts)
    start = time.process_time()
    # Idle BLAS threads spin, which counts as time on a busy machine.
    with threadpool_limits(1):
        found = associations(recording)
    assert found.searched["candidates"] == 6 * 20 * (64 + 64 * 63 // 2 + 64 * 63 * 62 // 6)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_triple_is_found_and_beats_its_pairs(seed):
    rng = np.random.default_rng(seed)
    bits = rng.random((4000, 12)) < 0.6
    concepts = {"planted": bits[:, [2, 5, 9]].all(axis=1) ^ (rng.random(4000) < 0.05)}
    found = associations(make_recording(bits, concepts=concepts), seed=seed)
    best = found.confirmed.sort_values("phi").iloc[-1]
    assert best["combination"] == "2+5+9"
    assert best["gain_ci_low"] > 0
    assert best["gain_over_best_member_ci_low"] > 0


def test_the_table_begins_with_the_columns_that_were_promised():
    found = associations(recording_with_pair(0), resamples=0)
    assert tuple(found.frame.columns[: len(MAIN_COLUMNS)]) == MAIN_COLUMNS
    assert ",".join(MAIN_COLUMNS) == (
        "layer,combination,concept,n,support,lift,phi,precision,recall,f1,phi_ci_low,phi_ci_high,p,"
        "p_corrected,confirmed,gain_over_best_single,gain_ci_low,gain_ci_high,beyond_class,"
        "within_class_or_low,within_class_or_high,iou,iou_best_single,iou_ceiling,ablation_effect,"
        "ablation_effect_random"
    )
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_corrections_differ_in_what_they_claim():
    recording = recording_with_pair(0)
    by = {x: associations(recording, correction=x, resamples=0) for x in ("holm", "bh", "by")}
    p = {x: found.frame["p_corrected"].to_numpy() for x, found in by.items()}
    assert (p["bh"] <= p["holm"] + 1e-12).all()
    assert (p["bh"] <= p["by"]).all()
    assert not np.allclose(p["bh"], p["holm"])
    assert "Benjamini-Hochberg" in by["bh"].summary()


def test_mean_false_share_under_mixed_truth():
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        bits = rng.random((300, 8)) < 0.5
        real = (bits[:, 0] & bits[:, 1]) ^ (rng.random(300) < 0.1)
        chance = {f"coin {i}": rng.random(300) < 0.4 for i in range(4)}
        recording = make_recording(bits, concepts={"real": real, **chance})
        found = associations(recording, seed=seed, correction="bh", resamples=0, top=1)
        shares.append((found.confirmed["concept"] != "real").mean() if len(found.confirmed) else 0)
    assert np.mean(shares) <= 0.05 + 3 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) < 0.5


def video_recording(seed, videos=8, length=150):
    """Filter and concepts that drift slowly, so that frames of a video are no independent images."""
    rng = np.random.default_rng(seed)
    count = videos * length

    def drift():
        return np.cumsum(rng.random(count) < 1 / 25) % 2 == 1

    bits = np.stack([drift() for _ in range(10)], axis=1)
    concepts = {f"coin {i}": drift() for i in range(3)}
    concepts["real"] = bits[:, 4] ^ (rng.random(count) < 0.05)
    group = [f"video {i // length}" for i in range(count)]
    return make_recording(bits, concepts=concepts, group=group)


def test_frames_of_videos_are_tested_by_shifts_and_fisher_would_claim_too_much():
    claimed = {None: 0, False: 0}
    for seed in range(16):
        recording = video_recording(seed)
        for sequence in claimed:
            found = associations(recording, seed=seed, resamples=0, sequence=sequence, max_size=1)
            held = set(found.confirmed["concept"])
            claimed[sequence] += bool(held - {"real"})
            assert "real" in held
            assert (
                found.frame["test"] == ("Fisher" if sequence is False else "circular shift")
            ).all()
    assert claimed[None] <= 3
    assert claimed[False] > 8


def test_few_groups_are_said_and_their_intervals_are_over_groups():
    found = associations(video_recording(0), max_size=1)
    assert "4 groups of images to confirm on are fewer than 20" in found.left_out
    assert (found.frame["groups"] == 4).all()
    assert "circular-shift test" in found.summary()
    derived = video_recording(0)
    derived.images["source_image"] = derived.images["group"]
    found = associations(derived, max_size=1)
    assert (found.frame["test"] == "Fisher").all()
    assert "p takes images as independent" in found.left_out


def test_block_intervals_are_wider_where_groups_differ():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 25)
    level = rng.random(40)[group]
    bits = rng.random((1000, 3)) < np.stack([level, level, 1 - level], axis=1)
    concepts = {"x": rng.random(1000) < level}
    alone = associations(make_recording(bits, concepts=concepts), max_size=1, top=1)
    grouped = associations(
        make_recording(bits, concepts=concepts, group=[f"g{i}" for i in group]), max_size=1, top=1
    )
    width = [
        float((f.frame["phi_ci_high"] - f.frame["phi_ci_low"]).iloc[0]) for f in (alone, grouped)
    ]
    assert width[1] > 1.5 * width[0]


def test_a_threshold_decides_about_shares():
    values = np.linspace(0, 1, 400)[np.random.default_rng(0).permutation(400)]
    bits = np.stack([values > 0.8, values < 0.2], axis=1)
    found = associations(make_recording(bits, concepts={"x": values}), threshold=0.8, resamples=0)
    assert found.frame["phi"].max() == pytest.approx(1)
    assert found.question != associations(make_recording(bits, concepts={"x": values})).question


def test_bad_concept_tables_are_one_sentence():
    recording = recording_with_pair(0, images=60)
    table = recording.table
    halves = split_halves(recording.images, 0)
    one_sided = table[table["image"].isin(recording.images["image"][halves])]
    for bad, words in (
        (table.drop(columns="value"), "no column 'value'"),
        (pd.concat([table, table.tail(1)]), "repeats concept"),
        (table.assign(value=1.5), "values are numbers from 0 to 1"),
        (table.assign(value=np.nan), "values are numbers from 0 to 1"),
        (one_sided, "none is a confirmation image"),
    ):
        with pytest.raises(PathLensError, match=words):
            associations(recording, concepts=bad)


def test_the_summary_counts_the_uses_of_the_confirmation_images():
    from dataclasses import replace

    found = associations(recording_with_pair(0), resamples=0)
    assert "different questions" not in found.summary()
    assert "different questions" not in replace(found, uses=1).summary()
    assert "answered 4 different questions" in replace(found, uses=4).summary()


def test_a_beam_is_said():
    found = associations(recording_with_pair(0), beam=5, resamples=0)
    assert "a beam of 5, which may have missed better ones" in found.summary()
    assert "exact" in associations(recording_with_pair(0), resamples=0).summary()
