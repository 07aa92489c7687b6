from __future__ import annotations

import numpy as np
import pytest

from pathlens.analysis.baselines import OWN, matched
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted


def test_a_baseline_is_read_row_by_row_for_the_same_images() -> None:
    bits, labels = planted(0, images=40)
    data = make_recording(bits, labels, classes=list("abcd"))
    order = np.random.default_rng(1).permutation(40)
    other = make_recording(~bits[order], 3 - labels[order])
    other.images["image"] = data.images["image"].to_numpy()[order]

    codes = matched(data, {"opposite": other})

    assert list(codes) == [OWN, "opposite"]
    assert codes[OWN] is data
    np.testing.assert_array_equal(codes["opposite"].bits(1), ~bits)
    np.testing.assert_array_equal(codes["opposite"].images["label"], labels)
    assert codes["opposite"].classes == tuple("abcd")


def test_a_baseline_may_have_more_images_but_not_fewer() -> None:
    bits, labels = planted(0, images=30)
    data = make_recording(bits[:20], labels[:20])
    np.testing.assert_array_equal(
        matched(data, {"more": make_recording(bits, labels)})["more"].bits("conv"), bits[:20]
    )
    with pytest.raises(PathLensError, match="'fewer' lacks 5 of 20 images"):
        matched(data, {"fewer": make_recording(bits[:15], labels[:15])})


@pytest.mark.parametrize("other", [{"conv": 23}, {"other": 24}])
def test_a_baseline_must_have_the_layers(other: dict[str, int]) -> None:
    bits, labels = planted(0, images=20)
    strange = make_recording({n: np.zeros((20, f), dtype=bool) for n, f in other.items()}, labels)
    with pytest.raises(PathLensError, match="no codes for layer conv"):
        matched(make_recording(bits, labels), {"strange": strange})


def test_no_baseline_takes_the_name_of_the_paths() -> None:
    bits, labels = planted(0, images=20)
    data = make_recording(bits, labels)
    assert list(matched(data, None)) == [OWN]
    with pytest.raises(PathLensError, match="another name"):
        matched(data, {OWN: data})
