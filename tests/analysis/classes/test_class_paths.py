import numpy as np
import pytest

from pathlens.analysis import class_paths
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted


@pytest.mark.parametrize("seed", range(4))
def test_rates_and_similarity_against_slow_loops(seed):
    bits, labels = planted(seed, images=90, classes=3, filters=9)
    bits[:, 0], bits[:, 1] = True, False
    found = class_paths(make_recording(bits, labels, classes="abc"), 1)
    rates = np.array([[bits[labels == k, j].mean() for j in range(9)] for k in range(3)])
    assert np.allclose(found.rates.to_numpy(), rates)
    dynamic = [j for j in range(9) if 0 < bits[:, j].mean() < 1]
    for i in range(3):
        for k in range(3):
            slow = 1 - np.mean([abs(rates[i, j] - rates[k, j]) for j in dynamic])
            assert found.similarity.iloc[i, k] == pytest.approx(slow)
    assert found.dynamic == len(dynamic) <= 7
    assert found.counts.tolist() == np.bincount(labels).tolist()
    looked_up = found.frame[(found.frame["class"] == "b") & (found.frame["filter"] == 5)]
    assert looked_up["rate"].item() == pytest.approx(rates[1, 5])


@pytest.mark.parametrize("seed", range(3))
def test_all_filters_and_layers_stand_beside_the_dynamic_ones(seed):
    bits, labels = planted(seed, images=120, classes=4, filters=10)
    still = np.tile(np.arange(6) % 2 == 0, (120, 1))
    mixed = np.hstack([bits[:, :4], still])
    recording = make_recording(
        {"still": still, "mixed": mixed, "free": bits}, labels, classes="abcd"
    )
    found = class_paths(recording, seed=seed)
    rates = np.array([np.hstack([still, mixed, bits])[labels == k].mean(axis=0) for k in range(4)])
    for i in range(4):
        for k in range(4):
            slow = 1 - np.abs(rates[i] - rates[k]).mean()
            assert found.similarity_all.iloc[i, k] == pytest.approx(slow)
    assert found.by_layer["filters"].tolist() == [6, 10, 10]
    assert found.by_layer["dynamic"].tolist() == [0, 4, 10]
    assert found.dynamic == 14
    for row in found.by_layer.itertuples():
        alone = class_paths(recording, row.layer, seed=seed)
        assert np.allclose(found.similarity_in(row.layer), alone.similarity)
        pairs = np.triu_indices(4, 1)
        assert row.similarity == pytest.approx(alone.similarity.to_numpy()[pairs].mean())
        assert row.similarity_all == pytest.approx(alone.similarity_all.to_numpy()[pairs].mean())
        assert (row.chance, row.chance_all) == pytest.approx((alone.chance, alone.chance_all))
    assert found.similarity_in(1).to_numpy().tolist() == np.ones((4, 4)).tolist()
    with pytest.raises(PathLensError, match="Layer 7 is not among"):
        found.similarity_in(7)


def test_classes_by_chance_are_as_alike_as_chance():
    rng = np.random.default_rng(0)
    found = class_paths(make_recording(rng.random((900, 60)) < 0.4, rng.integers(0, 3, 900)))
    pairs = found.similarity.to_numpy()[np.triu_indices(3, 1)]
    assert pairs.mean() == pytest.approx(found.chance, abs=0.005)
    assert "over all 60 filters" in found.summary().lower()


def test_alike_classes_are_neighbours_in_the_dendrogram():
    rng = np.random.default_rng(0)
    one, other = rng.random(40) < 0.5, rng.random(40) < 0.5
    labels = np.arange(400) % 4
    bits = np.stack([one, other, one, other])[labels] ^ (rng.random((400, 40)) < 0.1)
    found = class_paths(make_recording(bits, labels, classes=["a", "b", "a too", "b too"]))
    places = {name: found.order.index(name) for name in found.order}
    assert abs(places["a"] - places["a too"]) == 1
    assert abs(places["b"] - places["b too"]) == 1
    assert found.similarity.loc["a", "b"] < found.chance < 1
    assert found.linkage.shape == (3, 4)


def test_several_layers_name_filters_by_layer(ten_classes):
    found = class_paths(ten_classes)
    assert list(found.rates.columns[:2]) == ["1:0", "1:1"]
    assert found.rates.shape == (10, 8 + 16 + 32)
    assert "whole network (3 layers)" in found.title


def test_predictions_stand_in_for_labels_and_it_is_said():
    bits, labels = planted(1)
    found = class_paths(make_recording(bits, prediction=labels, classes="abcd"))
    assert found.by == "prediction"
    assert "predicted ones stand in" in found.left_out


def test_what_is_left_out_is_named():
    bits, labels = planted(1)
    labels = np.where(labels == 3, -1, labels)
    found = class_paths(make_recording(bits, labels, classes=["a", "crane", "c", "d", "crane"]))
    assert list(found.rates.index) == ["a", "crane #1", "c"]
    assert "2 classes without images (d, crane #4)" in found.left_out
    assert f"{(labels < 0).sum()} images of unknown class" in found.left_out


def test_degenerate_recordings_get_an_answer():
    bits, labels = planted(2)
    assert "one class" in class_paths(make_recording(bits, labels * 0, classes="a")).summary()
    still = class_paths(make_recording(bits | True, labels, classes="abcd"))
    assert "No filter" in still.summary()
    assert (still.similarity == 1).all(axis=None)
    with pytest.raises(PathLensError, match="neither labels nor predictions"):
        class_paths(make_recording(bits))
