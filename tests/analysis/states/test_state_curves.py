import numpy as np
import pytest

from pathlens.analysis import counts
from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.states.filter_states import filter_states
from pathlens.analysis.states.state_curves import state_curves
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording


def rare_and_common(seed, images=700, filters=40):
    rng = np.random.default_rng(seed)
    rates = rng.choice([0, 0.002, 0.01, 0.3, 0.8, 0.99, 0.998, 1], filters)
    return rng.random((images, filters)) < rates


@pytest.mark.parametrize("seed", range(5))
def test_curves_are_those_of_looking_at_each_subset_again(seed, monkeypatch):
    monkeypatch.setattr(counts, "_CHUNK", [97, 64, 1000, 1, 350][seed])
    layers = {"a": rare_and_common(seed), "b": rare_and_common(seed + 100, filters=7)}
    found = state_curves(make_recording(layers), seed=seed, points=9)
    place = np.random.default_rng(seed).permutation(700)
    for row in found.frame.itertuples():
        part = layers[row.name][place < row.images]
        mute, high = ~part.any(axis=0), part.all(axis=0)
        assert (row.mute, row.high_energy) == pytest.approx((mute.mean(), high.mean()))
        assert row.dynamic == pytest.approx((~mute & ~high).mean())
    for row in found.network.itertuples():
        part = np.hstack(list(layers.values()))[place < row.images]
        assert row.dynamic == pytest.approx((part.any(axis=0) & ~part.all(axis=0)).mean())
    assert found.network["images"].iloc[[0, -1]].tolist() == [1, 700]
    assert found.network["images"].is_monotonic_increasing


@pytest.mark.parametrize("seed", range(3))
def test_the_expected_share_is_the_mean_over_orders(seed):
    bits = rare_and_common(seed, images=60, filters=12)
    curves = [state_curves(make_recording(bits), seed=one, points=6).network for one in range(300)]
    mean = np.mean([one["dynamic"] for one in curves], axis=0)
    assert curves[0]["expected_dynamic"].to_numpy() == pytest.approx(mean, abs=0.03)
    assert curves[0]["expected_dynamic"].equals(curves[1]["expected_dynamic"])


def test_the_last_point_is_the_state_over_all_images(ten_classes):
    found = state_curves(ten_classes)
    last = found.frame[found.frame["images"] == 500].set_index("name")
    states = filter_states(ten_classes).by_layer.set_index("name")
    assert last["dynamic"].tolist() == pytest.approx(states["share_dynamic"].tolist())
    assert last["expected_dynamic"].tolist() == pytest.approx(states["share_dynamic"].tolist())
    assert state_curves(ten_classes, seed=1).frame.equals(state_curves(ten_classes, seed=1).frame)


def test_figures_and_sentences_of_any_recording(ten_classes):
    assert "500 images" in state_curves(ten_classes).summary()
    for bits in (np.ones((1, 3), dtype=bool), np.ones((2, 1), dtype=bool)):
        found = state_curves(make_recording(bits))
        assert found.summary().endswith(".")
        figure_bytes(found.plot(), "svg")
    figure_bytes(state_curves(ten_classes, [3], points=2).plot(), "png")


def test_bad_choices_are_one_sentence(ten_classes):
    with pytest.raises(PathLensError, match="at least 2"):
        state_curves(ten_classes, points=1)
    with pytest.raises(PathLensError, match="holds no images"):
        state_curves(make_recording(np.zeros((0, 3), dtype=bool)))
