import numpy as np
import pytest

from pathlens.recording.bits import pack, packed_width, padding_is_zero, unpack


def slow_pack(bits):
    """One bit at a time, from the words of the specification."""
    rows = []
    for row in bits:
        packed = [0] * ((len(row) + 7) // 8)
        for j, on in enumerate(row):
            if on:
                packed[j // 8] += 2 ** (j % 8)
        rows.append(packed)
    return np.array(rows, dtype=np.uint8).reshape(len(bits), -1)


@pytest.mark.parametrize("filters", [1, 7, 8, 9, 16, 37])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_packing_against_a_loop_over_bits(filters, seed):
    rng = np.random.default_rng(seed)
    bits = rng.random((11, filters)) < rng.random()
    packed = pack(bits)
    assert packed.dtype == np.uint8
    assert packed.shape == (11, packed_width(filters))
    np.testing.assert_array_equal(packed, slow_pack(bits))
    for form in (packed, packed.tobytes()):
        back = unpack(form, filters)
        assert back.dtype == np.bool_
        np.testing.assert_array_equal(back, bits)
        assert padding_is_zero(form, filters)


def test_the_first_filter_is_the_lowest_bit():
    assert pack(np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]], dtype=bool)).tolist() == [[1, 2]]


@pytest.mark.parametrize("filters", range(1, 17))
def test_every_bit_of_the_padding_is_looked_at(filters):
    for bit in range(8):
        packed = np.zeros((3, packed_width(filters)), dtype=np.uint8)
        packed[1, -1] = 1 << bit
        inside = 8 * (packed.shape[1] - 1) + bit < filters
        assert padding_is_zero(packed, filters) is inside


def test_wrong_shapes_and_types_are_refused():
    with pytest.raises(ValueError, match="bool"):
        pack(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="bool"):
        pack(np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match="whole rows"):
        unpack(b"abc", 9)
    with pytest.raises(ValueError, match="filters need"):
        unpack(np.zeros((2, 2), dtype=np.uint8), 8)


def test_no_rows():
    assert unpack(pack(np.zeros((0, 9), dtype=bool)), 9).shape == (0, 9)
    assert padding_is_zero(b"", 9)
