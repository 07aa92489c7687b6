import pandas as pd
import pytest

from pathlens.analysis import path_swaps
from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.measured.swaps import (
    OTHER_CLASS,
    OWN_PATH,
    STATIC,
    PathSwaps,
    later,
    swaps_of,
)
from pathlens.errors import PathLensError
from pathlens.recording import write_recording
from tests.analysis.conftest import planted

LAYERS = ("one", "$two$ <b>")


def rows(*lost):
    table = pd.DataFrame(lost, columns=["condition", "layer", "lost"])
    return table.assign(
        images=200,
        accuracy=0.9 - table["lost"],
        lost_low=table["lost"] - 0.01,
        lost_high=table["lost"] + 0.02,
        macs_share=0.5,
    )


WHOLE = ((OWN_PATH, "all", 0.0), (STATIC, "all", 0.125), (OTHER_CLASS, "all", 0.5))


@pytest.fixture
def recording(tmp_path):
    bits, labels = planted(0, images=30)
    images = pd.DataFrame({"image": [str(i) for i in range(30)], "label": labels})
    return write_recording(tmp_path / "r", dict.fromkeys(LAYERS, bits), images)


def test_the_sentence_gives_the_numbers():
    said = PathSwaps(rows(*WHOLE), LAYERS, "").summary()
    assert said == (
        "On 200 images, which are 90.0% right on their own paths, one path for all images at equal "
        "MACs loses 12.5 points of accuracy [11.5, 14.5] and the path of an image of another class "
        "loses 50.0 points of accuracy [49.0, 52.0]."
    )


def test_what_was_not_swapped_as_a_whole_is_not_claimed():
    only = PathSwaps(rows((STATIC, "one", 0.1)), LAYERS, "")
    assert only.whole(STATIC) is None
    assert "no path was swapped in all layers" in only.summary()
    assert figure_bytes(only.plot(), "png")


def panels(*extra):
    return [axes.get_xlabel() for axes in PathSwaps(rows(*WHOLE, *extra), LAYERS, "").plot().axes]


def test_every_scope_that_was_measured_is_drawn():
    alone = [(STATIC, name, 0.1) for name in LAYERS]
    on = [(OTHER_CLASS, later(LAYERS[1]), 0.3)]
    assert len(panels()) == 1
    assert ["only layer" in label for label in panels(*alone)] == [False, True]
    assert ["all later" in label for label in panels(*on)] == [False, True]
    assert len(panels(*alone, *on)) == 3


def test_depths_are_drawn_at_their_layers():
    swaps = PathSwaps(rows(*WHOLE, (STATIC, LAYERS[1], 0.2), (STATIC, LAYERS[0], 0.1)), LAYERS, "")
    line = next(x for x in swaps.plot().axes[1].lines if x.get_label() == STATIC)
    assert list(line.get_xdata()) == [1, 2]
    assert list(line.get_ydata()) == pytest.approx([10, 20])


def test_the_table_beside_the_recording_is_read(recording):
    table = rows(*WHOLE)
    table.assign(recording=recording.hash).to_csv(recording.folder / "path_swaps.csv", index=False)
    found = path_swaps(recording)
    pd.testing.assert_frame_equal(found.frame, table)
    assert found.layers == LAYERS
    assert found.left_out == "swaps of single layers"
    assert "12.5 points" in found._repr_html_()


def test_what_was_measured_is_not_said_to_be_left_out(recording):
    assert swaps_of(recording, rows(*WHOLE, (STATIC, "one", 0.1))).left_out == ""


def test_a_recording_that_was_not_probed_says_what_to_do(recording):
    with pytest.raises(PathLensError, match="pathlens probe"):
        path_swaps(recording)
