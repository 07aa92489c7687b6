import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from pathlens.reporting.encode import (
    finite,
    packed_bits,
    packed_shares,
    page_json,
    pictures_within,
    small_picture,
)


@pytest.mark.parametrize("seed", range(4))
def test_bits_are_found_where_the_page_looks_for_them(seed):
    generator = np.random.default_rng(seed)
    bits = generator.random((7, int(generator.integers(1, 30)))) < 0.5
    content = base64.b64decode(packed_bits(bits))
    stride = -(-bits.shape[1] // 8)
    for row in range(bits.shape[0]):
        for column in range(bits.shape[1]):
            assert (
                bool(content[row * stride + column // 8] >> (column % 8) & 1) == bits[row, column]
            )


def test_shares_keep_their_value_within_a_step_and_stay_in_range():
    values = [0.0, 0.25, 1.0, -0.1, 1.2]
    content = base64.b64decode(packed_shares(values))
    numbers = [content[2 * i] + 256 * content[2 * i + 1] for i in range(len(values))]
    assert np.allclose(np.array(numbers) / 65535, [0, 0.25, 1, 0, 1], atol=1 / 65535)


def test_page_json_holds_no_markup_and_loses_nothing():
    value = {"</script><!--": ["<script>alert(1)</script>", "a & b", "\u2028é"]}
    text = page_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_page_json_refuses_what_browsers_cannot_read():
    with pytest.raises(ValueError, match="JSON"):
        page_json(float("nan"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64("nan"), None),
        (float("inf"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ("text", "text"),
        (None, None),
    ],
)
def test_finite_gives_plain_json_values(value, expected):
    result = finite(value)
    assert result == expected
    assert type(result) is type(expected)


def test_large_pictures_become_small_and_broken_ones_empty():
    target = io.BytesIO()
    Image.new("RGB", (300, 200)).save(target, "PNG")
    small = Image.open(io.BytesIO(small_picture(target.getvalue())))
    assert (small.format, small.size) == ("JPEG", (56, 37))
    assert small_picture(b"no picture") == small_picture(b"") == b""


def test_pictures_stop_at_the_budget():
    assert [bool(x) for x in pictures_within([b"aa", b"", b"bb", b"c"], 4)] == [1, 0, 1, 0]
