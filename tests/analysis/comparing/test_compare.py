"""Compare: planted changes are found, filters that were renumbered are seen, chance stays chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pathlens.analysis.classes.class_paths import class_paths
from pathlens.analysis.comparing.compare import compare
from pathlens.analysis.comparing.compare_classes import compare_classes
from pathlens.analysis.comparing.compare_filters import compare_filters
from pathlens.analysis.comparing.compare_views import in_common
from pathlens.analysis.rate_tests import mcnemar_exact, paired_interval
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted

CLASSES = ("ant", "bee", "cat", "dog", "elk")


def network(seed: int, images: int = 400, layers: int = 2, **options):
    """Layers of class-like bits with the same labels everywhere."""
    bits, labels = planted(seed, images=images, classes=5, filters=12 * layers)
    parts = {f"l{i}.conv": bits[:, 12 * i : 12 * i + 12] for i in range(layers)}
    return make_recording(parts, labels, classes=CLASSES, **options)


def changed(data, seed, share):
    """The same recording with a share of the gates flipped."""
    rng = np.random.default_rng(seed)
    bits = {name: one ^ (rng.random(one.shape) < share) for name, one in data.bits_by_layer.items()}
    return make_recording(bits, data.images["label"], classes=data.classes)


def renumbered(data, seed):
    """The same paths with the filters of each layer in another order."""
    rng = np.random.default_rng(seed)
    bits = {name: one[:, rng.permutation(one.shape[1])] for name, one in data.bits_by_layer.items()}
    return make_recording(bits, data.images["label"], classes=data.classes)


def test_a_recording_agrees_with_itself():
    data = network(0)
    found = compare(data, data)
    assert (found.frame["equal"] == 1).all()
    assert (found.frame["kappa"] == 1).all()
    assert (found.frame["same_vector"] == 1).all()
    assert not found.filters["changed"].any()
    assert (found.filters["p_corrected"] == 1).all()
    assert np.allclose(found.scores["value"], 1)
    assert (found.scores["p"] < 0.05).all()
    assert (found.classes["rate_change"] == 0).all()
    assert (found.classes["nearest_a"] == found.classes["nearest_b"]).all()
    assert found.left_out == ""


def test_planted_changes_of_state_and_rate_are_found_and_no_others():
    data = network(1)
    other = {name: bits.copy() for name, bits in data.bits_by_layer.items()}
    other["l0.conv"][:, 3] = True
    other["l1.conv"][:, 7] = False
    other["l1.conv"][:60, 2] = ~other["l1.conv"][:60, 2] | True
    found = compare(data, make_recording(other, data.images["label"], classes=CLASSES))
    table = found.filters.set_index(["name", "filter"])
    assert set(table.index[table["changed"]]) == {("l0.conv", 3), ("l1.conv", 7)}
    assert table.loc[("l0.conv", 3), "state_b"] == "high-energy"
    assert table.loc[("l1.conv", 7), "state_b"] == "mute"
    assert set(table.index[table["p_corrected"] < 0.05]) == {
        ("l0.conv", 3),
        ("l1.conv", 7),
        ("l1.conv", 2),
    }
    assert found.frame["states_changed"].tolist() == [1, 1]
    assert found.frame["rates_changed"].tolist() == [1, 2]
    assert "2 of 24 filters" in found.summary()


def test_agreement_equals_a_loop_over_gates():
    data = network(2, images=60)
    other = changed(data, 0, 0.2)
    found = compare(data, other)
    for row in found.frame.itertuples():
        a, b = data.bits(row.layer), other.bits(row.layer)
        same = [
            x == y
            for left, right in zip(a, b, strict=True)
            for x, y in zip(left, right, strict=True)
        ]
        assert row.equal == pytest.approx(np.mean(same))
        chance = np.mean(
            [np.mean([x == y for x in a[:, i] for y in b[:, i]]) for i in range(a.shape[1])]
        )
        assert row.expected == pytest.approx(chance)
        assert row.kappa == pytest.approx((np.mean(same) - chance) / (1 - chance))
        fit = np.corrcoef(a.T, b.T)[:12, 12:]
        assert row.own_best == pytest.approx(np.mean(fit.argmax(axis=1) == np.arange(12)))
        assert row.own_best_chance == pytest.approx(1 / 12)
    for row in found.filters.itertuples():
        a, b = data.bits(row.name)[:, row.filter], other.bits(row.name)[:, row.filter]
        assert (row.only_a, row.only_b) == ((a & ~b).sum(), (b & ~a).sum())
        assert row.difference == pytest.approx(b.mean() - a.mean())
        p = binomtest(int(row.only_a), int(row.only_a + row.only_b)).pvalue
        assert row.p == pytest.approx(p)
        assert row.low <= row.difference <= row.high


def test_gates_of_equal_rates_but_other_images_agree_by_chance_alone():
    rng = np.random.default_rng(0)
    rates = rng.random(30)
    a, b = (make_recording(rng.random((2000, 30)) < rates, np.arange(2000) % 5) for _ in range(2))
    row = compare(a, b).frame.iloc[0]
    assert abs(row["kappa"]) < 0.02
    assert row["own_best"] < 0.25


def test_pure_chance_changes_rates_in_about_one_of_twenty_runs():
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rates = rng.random(20)
        a, b = (make_recording(rng.random((300, 20)) < rates, np.zeros(300)) for _ in range(2))
        found = compare_filters(in_common(a, b, None))
        hits += bool((found.filters["p_corrected"] < 0.05).any())
    # At most 5 % of false claims, which 9 of 60 would contradict (binomial, p < 0.01).
    assert hits <= 8


@pytest.mark.parametrize("seed", range(3))
def test_renumbered_filters_are_seen_and_leave_classes_and_clusters_alone(seed):
    data = network(seed)
    found = compare(data, renumbered(data, seed))
    assert found.frame["own_best"].mean() < 0.4
    assert "most do not correspond" in found.summary()
    assert np.allclose(found.scores["value"], 1)
    kept = compare(data, changed(data, seed, 0.05))
    assert kept.frame["own_best"].mean() > 0.6


def test_the_class_that_moved_comes_out():
    data = network(4, images=1000)
    inside = (data.images["label"] == 2).to_numpy()
    other = {name: bits.copy() for name, bits in data.bits_by_layer.items()}
    for bits in other.values():
        bits[inside] = ~bits[inside]
    found = compare(data, make_recording(other, data.images["label"], classes=CLASSES))
    table = found.classes.set_index("class")
    assert table["rate_change"].idxmax() == "cat"
    assert (table["rate_change"].drop("cat") == 0).all()
    assert table.loc["cat", "rate_change"] > 5 * table.loc["cat", "rate_chance"]


def test_similarities_of_classes_equal_a_loop_over_pairs():
    a, b = network(10), changed(network(10), 2, 0.3)
    table = compare(a, b, permutations=9).classes
    alike_a, alike_b = (class_paths(one).similarity for one in (a, b))
    for row in table.to_dict("records"):
        others = [name for name in CLASSES if name != row["class"]]
        left, right = (
            np.array([one.loc[row["class"], name] for name in others]) for one in (alike_a, alike_b)
        )
        assert row["nearest_a"] == others[int(left.argmax())]
        assert row["nearest_b"] == others[int(right.argmax())]
        assert row["row_correlation"] == pytest.approx(np.corrcoef(left, right)[0, 1])


def test_change_by_chance_has_the_size_that_the_table_says():
    ratios = []
    for seed in range(8):
        data = network(seed, images=600)
        rng = np.random.default_rng(seed)
        a, b = {}, {}
        for name, bits in data.bits_by_layer.items():
            swap = rng.random(bits.shape) < 0.5
            noisy = bits ^ (rng.random(bits.shape) < 0.2)
            a[name], b[name] = np.where(swap, bits, noisy), np.where(swap, noisy, bits)
        labels = data.images["label"]
        table = compare(
            make_recording(a, labels), make_recording(b, labels), permutations=1
        ).classes
        ratios.append((table["rate_change"] / table["rate_chance"]).mean())
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_unrelated_networks_have_unrelated_class_similarities():
    p = []
    for seed in range(12):
        a, b = (np.random.default_rng((seed, i)).random((5, 24)) < 0.5 for i in range(2))
        labels = np.arange(300) % 5
        common = in_common(
            make_recording(a[labels], labels), make_recording(b[labels], labels), None
        )
        p.append(compare_classes(common, 99, seed).scores["p"].item())
    assert 0.25 < np.mean(p) < 0.75


def test_other_data_sets_compare_by_rates_and_classes_only():
    a, b = network(5, images=500), network(5, images=300)
    b.images["image"] = [f"other/{i}" for i in range(300)]
    b.bits_by_layer["l0.conv"][:, 1] = True
    found = compare(a, b)
    assert found.images == 0
    assert (found.images_a, found.images_b) == (500, 300)
    assert found.frame["equal"].isna().all()
    assert found.clusters.empty
    assert found.filters["changed"].sum() == 1
    assert found.filters.loc[found.filters["changed"], "p_corrected"].item() < 1e-6
    assert len(found.classes) == 5
    assert found.scores["measure"].tolist() == ["class similarity (Mantel r)"]
    assert "no image is in both" in found.left_out
    assert "500 and 300 different images" in found.summary()


def test_shared_images_are_matched_by_name_and_the_rest_is_told():
    data = network(6, images=300)
    order = np.random.default_rng(0).permutation(300)[:200]
    part = make_recording(
        {name: bits[order] for name, bits in data.bits_by_layer.items()},
        data.images["label"].to_numpy()[order],
        classes=CLASSES,
    )
    part.images["image"] = data.images["image"].to_numpy()[order]
    found = compare(data, part)
    assert found.images == 200
    assert (found.frame["equal"] == 1).all()
    assert "100 images of A that the other lacks" in found.left_out


def test_other_networks_compare_by_classes_and_clusters_only():
    a = network(7)
    bits, labels = planted(7, images=400, classes=5, filters=30)
    b = make_recording({"features.3": bits}, labels, classes=CLASSES)
    found = compare(a, b)
    assert found.frame.empty
    assert found.filters.empty
    assert found.classes["rate_change"].isna().all()
    assert len(found.scores) == 3
    assert "no layer in common" in found.summary()
    assert "no layer has the same name" in found.left_out
    found.plot().canvas.draw()


def test_layers_are_chosen_and_lone_ones_are_told():
    a, b = network(8, layers=3), network(8, layers=2)
    assert "1 layer that only one" in compare(a, b).left_out
    found = compare(a, b, layers=["l1.*"])
    assert found.frame["name"].tolist() == ["l1.conv"]
    with pytest.raises(PathLensError, match="Unknown layer"):
        compare(a, b, layers=["l2.conv"])


def test_nothing_in_common_is_told_in_one_sentence():
    bits = np.random.default_rng(0).random((40, 6)) < 0.5
    a = make_recording({"x": bits}, np.arange(40) % 2)
    b = make_recording({"y": bits}, np.arange(40) % 2)
    b.images["image"] = [f"other/{i}" for i in range(40)]
    with pytest.raises(PathLensError, match="nothing in common"):
        compare(a, b)
    with pytest.raises(PathLensError, match="at least 1"):
        compare(a, a, permutations=0)
    with pytest.raises(PathLensError, match="no images"):
        compare(a, make_recording({"x": bits[:0]}))


def test_unlabelled_and_static_recordings_compare_what_they_can():
    bits = np.random.default_rng(0).random((50, 6)) < 0.5
    plain = make_recording(bits)
    found = compare(plain, plain)
    assert found.classes.empty
    assert "classes (unknown" in found.left_out
    still = make_recording(np.tile(bits[:1], (50, 1)), np.arange(50) % 5)
    found = compare(still, still)
    assert found.scores.empty
    assert "all paths are alike" in found.left_out
    assert "all classes are alike" in found.left_out
    found.summary()
    found.plot().canvas.draw()
    few = make_recording(bits[:10], np.arange(10) % 5)
    assert "fewer than 20 images" in compare(few, few).left_out


def test_same_seed_same_result():
    a, b = network(9), changed(network(9), 1, 0.2)
    one, other = compare(a, b, seed=4), compare(a, b, seed=4)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.clusters, other.clusters)


def test_awkward_names_are_drawn_as_text(ten_classes):
    figure = compare(ten_classes, ten_classes, permutations=9).plot()
    figure.canvas.draw()
    shown = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert r"a\$b\$c" in shown


def test_mcnemar_and_its_interval_equal_what_is_known():
    p = mcnemar_exact(np.array([0, 6, 3]), np.array([0, 0, 9]))
    assert p[0] == 1
    assert p[1] == pytest.approx(2 / 2**6)
    assert p[2] == pytest.approx(binomtest(3, 12).pvalue)
    hits = 0
    rng = np.random.default_rng(0)
    for _ in range(300):
        cells = rng.multinomial(80, [0.2, 0.1, 0.05, 0.65])
        low, high = paired_interval(cells[[2]], cells[[1]], 80)
        hits += bool(low[0] <= 0.05 <= high[0])
    assert 0.91 <= hits / 300 <= 0.99
