import numpy as np
import pytest

from pathlens.analysis.associating.gains import cut, difference, gain_columns, gains, phi_of
from pathlens.analysis.associating.resampling import Resampling
from pathlens.analysis.associating.search import search_layer
from pathlens.analysis.associating.sparse_probe import sparse_probes
from pathlens.analysis.associating.trial import Half, Trial


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


def trial_of(seed, images=800, filters=8):
    rng = np.random.default_rng(seed)
    bits = rng.random((images, filters)) < 0.5
    has = (bits[:, 2] & bits[:, 5]) ^ (rng.random(images) < 0.1)
    concepts = np.stack([has, rng.random(images) < 0.3], axis=1)
    half = images // 2
    found = search_layer(bits[:half], concepts[:half], max_size=2, top=3)
    return Trial(Half(bits[:half], concepts[:half]), Half(bits[half:], concepts[half:]), found)


@pytest.mark.parametrize("seed", range(3))
def test_every_gain_is_a_difference_of_correlations(seed):
    trial = trial_of(seed)
    scores = np.random.default_rng(9).normal(size=trial.confirmation.bits.shape)
    frame = gains(trial, scores, Resampling(None, 200), np.random.default_rng(0))
    for row, got in enumerate(frame.to_dict("records")):
        concept = trial.found.concept[row]
        has = trial.confirmation.concepts[:, concept]
        known = trial.discovery.concepts[:, concept]
        members = trial.members(row)
        on = trial.confirmation.bits[:, members].all(axis=1)
        promise = [correlation(trial.discovery.bits[:, i], known) for i in members]
        assert got["best_member"] == members[int(np.argmax(promise))]
        everyone = [correlation(trial.discovery.bits[:, i], known) for i in range(8)]
        assert got["best_single"] == int(np.argmax(everyone))
        best = np.argsort(-scores[:, got["best_single"]])[: on.sum()]
        soft = np.isin(np.arange(len(has)), best)
        assert got["soft_single_phi"] == pytest.approx(correlation(soft, has))
        if len(members) == 1:
            assert np.isnan([got[column] for column in gain_columns("best_single")]).all()
            continue
        own = correlation(on, has)
        single = trial.confirmation.bits[:, got["best_single"]]
        member = trial.confirmation.bits[:, got["best_member"]]
        assert got["gain_over_best_single"] == pytest.approx(own - correlation(single, has))
        assert got["gain_over_best_member"] == pytest.approx(own - correlation(member, has))
        assert got["gain_over_soft_single"] == pytest.approx(own - got["soft_single_phi"])
        assert got["gain_over_sparse_probe"] == pytest.approx(own - got["sparse_probe_phi"])
        assert got["gain_ci_low"] < got["gain_over_best_single"] < got["gain_ci_high"]


def test_scores_that_were_not_recorded_leave_their_columns_empty():
    frame = gains(trial_of(0), None, Resampling(None, 20), np.random.default_rng(0))
    assert frame["soft_single_phi"].isna().all()
    assert frame[list(gain_columns("soft_single"))].isna().all(axis=None)
    assert frame["sparse_probe_phi"].notna().all()


def test_the_interval_is_that_of_a_bootstrap_over_images():
    rng = np.random.default_rng(0)
    own, rival, has = rng.random(300) < 0.4, rng.random(300) < 0.5, rng.random(300) < 0.3
    own = own ^ (has & (rng.random(300) < 0.6))
    slow = []
    for _ in range(3000):
        drawn = rng.integers(0, 300, 300)
        slow.append(correlation(own[drawn], has[drawn]) - correlation(rival[drawn], has[drawn]))
    value, low, high = difference(own, rival, has, Resampling(None, 3000), rng)
    assert value == pytest.approx(correlation(own, has) - correlation(rival, has))
    assert (low, high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.015)


def test_intervals_cover_the_true_gain():
    covered = 0
    rng = np.random.default_rng(0)
    for _ in range(200):
        bits = rng.random((500, 2)) < 0.5
        has = bits.all(axis=1) ^ (rng.random(500) < 0.1)
        # Of 1 in 4 with both: phi is 0.8 * sqrt(3/16) / sqrt(0.3 * 0.7), and that of one a third.
        true = 0.8 * np.sqrt(3 / 16) / np.sqrt(0.3 * 0.7) - 0.8 * 0.125 / 0.5 / np.sqrt(0.3 * 0.7)
        _, low, high = difference(bits.all(axis=1), bits[:, 0], has, Resampling(None, 300), rng)
        covered += low <= true <= high
    assert covered / 200 == pytest.approx(0.95, abs=0.05)


def test_the_cut_takes_the_highest_scores_and_deals_equal_ones_by_chance():
    score = np.array([1.0, 3.0, 2.0, 2.0, 2.0, 0.0])
    taken = np.stack([cut(score, 3, np.random.default_rng(seed)) for seed in range(60)])
    assert (taken.sum(axis=1) == 3).all()
    assert taken[:, 1].all()
    assert not taken[:, [0, 5]].any()
    assert taken[:, 2:5].sum(axis=0).min() > 20


@pytest.mark.parametrize("seed", range(4))
def test_the_probe_finds_planted_filters_of_either_sign(seed):
    rng = np.random.default_rng(seed)
    bits = rng.random((2000, 12)) < 0.5
    log_odds = 2.5 * bits[:, 3] - 2.5 * bits[:, 7] + 2.0 * bits[:, 10] - 1
    has = rng.random(2000) < 1 / (1 + np.exp(-log_odds))
    probes = sparse_probes(bits, has, 3)
    assert [len(probe.filters) for probe in probes] == [1, 2, 3]
    assert set(probes[2].filters) == {3, 7, 10}
    weights = dict(zip(probes[2].filters.tolist(), probes[2].weights, strict=False))
    assert (weights[3] > 1, weights[7] < -1, weights[10] > 1) == (True, True, True)


def test_the_probe_equals_a_library_and_its_bar_is_the_best_on_discovery():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    bits = rng.random((1500, 6)) < rng.uniform(0.2, 0.8, 6)
    has = rng.random(1500) < 1 / (1 + np.exp(1.5 - 2 * bits[:, 1] - bits[:, 4]))
    probe = sparse_probes(bits, has, 2)[-1]
    model = LogisticRegression(C=1000, tol=1e-10).fit(bits[:, probe.filters], has)
    assert probe.weights[:-1] == pytest.approx(model.coef_[0], abs=1e-3)
    score = bits[:, probe.filters] @ probe.weights[:-1] + probe.weights[-1]
    best = max(phi_of(score >= level - 1e-6, has) for level in np.unique(np.round(score, 8)))
    assert phi_of(probe.on(bits), has) == pytest.approx(best)


def test_the_probe_stops_where_filters_run_out():
    rng = np.random.default_rng(0)
    one = rng.random(100) < 0.5
    bits = np.stack([one, one, ~one, np.ones(100, dtype=bool)], axis=1)
    assert len(sparse_probes(bits, one ^ (rng.random(100) < 0.1), 3)) == 1
    assert sparse_probes(bits[:, 3:], one, 3) == []
    # Perfect separation keeps the weights finite.
    assert np.isfinite(sparse_probes(bits, one, 1)[0].weights).all()
