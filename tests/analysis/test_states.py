import numpy as np
import pytest

from pathlens.analysis import filter_states
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording


def test_states_are_counted_as_by_hand():
    bits = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0]], dtype=bool)
    found = filter_states(make_recording({"a": bits, "b": ~bits}))
    assert list(found.frame.columns) == ["layer", "name", "filter", "rate", "state"]
    first = found.frame[found.frame["layer"] == 1]
    assert first["state"].tolist() == ["high-energy", "mute", "dynamic", "dynamic"]
    assert first["rate"].tolist() == pytest.approx([1, 0, 2 / 3, 1 / 3])
    row = found.by_layer.set_index("name").loc["b"]
    assert (row.filters, row.high_energy, row.mute, row.dynamic) == (4, 1, 1, 2)
    assert row.density == pytest.approx((0 + 1 + 1 / 3 + 2 / 3) / 4)
    assert row.share_dynamic == 0.5
    assert found.images == 3


def test_one_image_in_many_makes_a_filter_dynamic():
    bits = np.ones((100_000, 2), dtype=bool)
    bits[-1, 1] = False
    assert filter_states(make_recording(bits)).frame["state"].tolist() == ["high-energy", "dynamic"]


def test_only_the_chosen_layers_are_read(ten_classes):
    found = filter_states(ten_classes, ["head.*", 1])
    assert ten_classes.read == ["stem.still", "head.class"]
    assert found.by_layer["layer"].tolist() == [1, 3]
    assert "100" not in found.summary()


def test_bad_choices_are_one_sentence(ten_classes):
    with pytest.raises(PathLensError, match=r"Unknown layer 'hea\.class'"):
        filter_states(ten_classes, ["hea.class"])
    with pytest.raises(PathLensError, match="holds no images"):
        filter_states(make_recording(np.zeros((0, 3), dtype=bool)))
    with pytest.raises(PathLensError, match="no layers"):
        filter_states(make_recording({}, image=["a"]))
    with pytest.raises(PathLensError, match="No layer was chosen"):
        filter_states(ten_classes, [])
