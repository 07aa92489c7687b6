import numpy as np
import pytest
from scipy.stats import binomtest

from pathlens.analysis import filter_states
from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.states.filter_states import fewest_images, most_when_mute, state_codes
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording


def test_states_are_counted_as_by_hand():
    bits = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0]], dtype=bool)
    found = filter_states(make_recording({"a": bits, "b": ~bits}))
    columns = ["layer", "name", "filter", "rate", "rate_low", "rate_high", "state"]
    assert list(found.frame.columns) == columns
    first = found.frame[found.frame["layer"] == 1]
    assert first["state"].tolist() == ["high-energy", "mute", "dynamic", "dynamic"]
    assert first["rate"].tolist() == pytest.approx([1, 0, 2 / 3, 1 / 3])
    row = found.by_layer.set_index("name").loc["b"]
    assert (row.filters, row.high_energy, row.mute, row.dynamic) == (4, 1, 1, 2)
    assert row.density == pytest.approx((0 + 1 + 1 / 3 + 2 / 3) / 4)
    assert row.share_dynamic == 0.5
    assert found.images == 3
    assert found.tolerance == 0
    assert found.left_out == ""


def test_one_image_in_many_makes_a_filter_dynamic():
    bits = np.ones((100_000, 2), dtype=bool)
    bits[-1, 1] = False
    assert filter_states(make_recording(bits)).frame["state"].tolist() == ["high-energy", "dynamic"]


@pytest.mark.parametrize("tolerance", [0.01, 0.1, 0.4])
def test_states_within_a_tolerance_are_those_of_the_exact_interval(tolerance):
    images = 300
    bits = np.arange(images)[:, None] < np.arange(images + 1)
    found = filter_states(make_recording(bits), tolerance=tolerance).frame
    for row in found.itertuples():
        interval = binomtest(row.filter, images).proportion_ci(0.95, "exact")
        assert (row.rate_low, row.rate_high) == pytest.approx((interval.low, interval.high))
        state = "dynamic"
        if interval.low >= 1 - tolerance:
            state = "high-energy"
        elif interval.high <= tolerance:
            state = "mute"
        assert row.state == state
    assert found["state"].nunique() == (3 if images >= fewest_images(tolerance) else 1)


@pytest.mark.parametrize("tolerance", [0.003, 0.05, 0.3])
def test_the_fewest_images_are_where_the_first_filter_can_be_mute(tolerance):
    fewest = fewest_images(tolerance)
    assert most_when_mute([fewest - 1, fewest], tolerance).tolist() == [-1, 0]
    counts = np.array([0, fewest])
    assert state_codes(counts, fewest, tolerance).tolist() == [0, 2]
    assert state_codes(np.array([0, fewest - 1]), fewest - 1, tolerance).tolist() == [1, 1]


def test_too_few_images_for_a_tolerance_are_said():
    found = filter_states(make_recording(np.zeros((20, 3), dtype=bool)), tolerance=0.01)
    assert found.frame["state"].unique().tolist() == ["dynamic"]
    assert f"it takes at least {fewest_images(0.01)}" in found.left_out
    figure_bytes(found.plot(), "svg")
    sure = filter_states(make_recording(np.zeros((400, 3), dtype=bool)), tolerance=0.01)
    assert sure.left_out == ""
    assert "100% are on for at most 1 % (mute)" in sure.summary()


def test_only_the_chosen_layers_are_read(ten_classes):
    found = filter_states(ten_classes, ["head.*", 1])
    assert ten_classes.read == ["stem.still", "head.class"]
    assert found.by_layer["layer"].tolist() == [1, 3]
    assert "100" not in found.summary()


@pytest.mark.parametrize("tolerance", [-0.1, 0.5, float("nan")])
def test_a_tolerance_that_is_none_is_refused(ten_classes, tolerance):
    with pytest.raises(PathLensError, match=r"below 0\.5"):
        filter_states(ten_classes, tolerance=tolerance)


def test_bad_choices_are_one_sentence(ten_classes):
    with pytest.raises(PathLensError, match=r"Unknown layer 'hea\.class'"):
        filter_states(ten_classes, ["hea.class"])
    with pytest.raises(PathLensError, match="holds no images"):
        filter_states(make_recording(np.zeros((0, 3), dtype=bool)))
    with pytest.raises(PathLensError, match="no layers"):
        filter_states(make_recording({}, image=["a"]))
    with pytest.raises(PathLensError, match="No layer was chosen"):
        filter_states(ten_classes, [])
