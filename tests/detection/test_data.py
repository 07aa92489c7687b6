from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis.baselines import matched
from pathlens.detection.data import detection_data, joined, require_layers
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerTable
from pathlens.recording import open_recording, write_recording
from tests.analysis.conftest import make_recording


def small_recording(folder, floats: bool):
    rng = np.random.default_rng(0)
    scores = {"a": rng.standard_normal((7, 5)), "b.c": rng.standard_normal((7, 9))}
    further = (
        {"scores": scores, "features": rng.random((7, 4)), "logits": rng.random((7, 3))}
        if floats
        else {}
    )
    write_recording(
        folder,
        {name: values > 0 for name, values in scores.items()},
        pd.DataFrame({"image": list("tuvwxyz"), "prediction": [0, 1, 2, 0, 1, 2, 0]}),
        classes=["x", "y", "z"],
        **further,
    )
    return open_recording(folder)


def test_reads_bits_and_floats_of_a_recording(tmp_path):
    recording = small_recording(tmp_path / "r", floats=True)
    data = detection_data(recording)
    assert len(data) == 7
    np.testing.assert_array_equal(data.path(), recording.path_bits())
    np.testing.assert_array_equal(data.scores["b.c"], recording.scores("b.c").astype(np.float32))
    np.testing.assert_array_equal(data.features, recording.features())
    np.testing.assert_array_equal(data.logits, recording.logits())
    assert data.path_scores(["a"]).dtype == np.float32


def test_floats_that_were_not_recorded_are_asked_for_in_one_sentence(tmp_path):
    data = detection_data(small_recording(tmp_path / "r", floats=False))
    assert data.scores is None
    with pytest.raises(PathLensError, match="--with logits"):
        data.need_logits()
    with pytest.raises(PathLensError, match="--with scores"):
        data.path_scores()
    with pytest.raises(PathLensError, match="--with features"):
        data.need_features()


def test_one_layer_of_a_recording_and_of_what_was_read(tmp_path):
    recording = small_recording(tmp_path / "r", floats=True)
    for source in (recording, detection_data(recording)):
        data = detection_data(source, layers=[2])
        assert data.layers.names == ["b.c"]
        assert list(data.scores) == ["b.c"]
        assert data.path().shape == (7, 9)


def test_a_baseline_is_read_through_the_images_it_is_matched_with(tmp_path):
    recording = small_recording(tmp_path / "r", floats=True)
    rows = [5, 0, 3]
    own = make_recording(
        {name: recording.bits(name)[rows] for name in ("a", "b.c")}, prediction=[1, 1, 1]
    )
    own.images["image"] = recording.images["image"].to_numpy()[rows]
    data = detection_data(matched(own, {"other": recording})["other"])
    np.testing.assert_array_equal(data.path(), recording.path_bits()[rows])
    np.testing.assert_array_equal(data.scores["a"], recording.scores("a")[rows])
    np.testing.assert_array_equal(data.logits, recording.logits()[rows])
    assert data.predictions.tolist() == [1, 1, 1]


def test_taking_rows_takes_them_everywhere(world):
    for rows in ([4, 1, 1], np.arange(len(world.clean)) % 2 == 0):
        part = world.clean.take(rows)
        np.testing.assert_array_equal(part.path(), world.clean.path()[rows])
        np.testing.assert_array_equal(part.path_scores(), world.clean.path_scores()[rows])
        np.testing.assert_array_equal(part.logits, world.clean.logits[rows])
        np.testing.assert_array_equal(part.features, world.clean.features[rows])
        np.testing.assert_array_equal(part.images["image"], world.clean.images["image"][rows])


def test_joined_images_are_those_of_both_in_order(world):
    both = joined([world.clean, world.attacked])
    np.testing.assert_array_equal(both.path(), np.r_[world.clean.path(), world.attacked.path()])
    np.testing.assert_array_equal(both.logits, np.r_[world.clean.logits, world.attacked.logits])
    assert both.images["image"].tolist()[300:] == world.attacked.images["image"].tolist()


def test_joining_drops_floats_that_one_lacks_and_refuses_other_networks(world):
    without = replace(world.attacked, scores=None, logits=None)
    both = joined([world.clean, without])
    assert both.scores is None
    assert both.logits is None
    assert both.features is not None
    with pytest.raises(PathLensError, match="one network"):
        joined([world.clean, replace(without, classes=("other",))])
    with pytest.raises(PathLensError, match="at least one"):
        joined([])


def test_sources_are_the_clean_images_where_they_are_given(world):
    images = world.clean.take([0, 1, 2]).images.assign(source_image=["q", None, ""])
    data = replace(world.clean.take([0, 1, 2]), images=images)
    assert data.sources.tolist() == ["q", "fit/1", "fit/2"]
    assert world.clean.take([2]).sources.tolist() == ["fit/2"]


def test_unknown_predictions_are_told(world):
    for images in (
        world.clean.images.drop(columns="prediction"),
        world.clean.images.assign(prediction=-1),
    ):
        with pytest.raises(PathLensError, match="predicted class"):
            _ = replace(world.clean, images=images).predictions


def test_layers_of_another_network_are_told(world):
    with pytest.raises(PathLensError, match="conv0 with 7 filters"):
        require_layers(world.clean, LayerTable([Layer(1, "conv0", 7)]))


def test_nothing_recorded_is_told():
    with pytest.raises(PathLensError, match="nothing to detect"):
        detection_data(make_recording(np.zeros((0, 4), dtype=bool)))


def test_the_room_needs_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import pathlens.detection, pathlens.detection.data, pathlens.detection.saving\n"
        "import pathlens.detection.detectors.registry\n"
        "assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
