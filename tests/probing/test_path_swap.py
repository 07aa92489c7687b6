"""Path swaps: partners are as promised, and accuracies are those of a loop over images."""

import numpy as np
import pandas as pd
import pytest
import torch

from pathlens.analysis import PathSwaps, path_swaps
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import normalise
from pathlens.errors import PathLensError
from pathlens.probing import path_swap
from pathlens.probing.path_swap import partners
from pathlens.training import load


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_partners_are_others_of_the_same_class_and_others_of_another(seed):
    rng = np.random.default_rng(seed)
    prediction = rng.integers(0, 5, 200)
    same, other = partners(prediction, rng)
    assert (prediction[same] == prediction).all()
    assert (same != np.arange(200)).all()
    assert sorted(same) == list(range(200))  # everybody's path is used once
    assert (prediction[other] != prediction).all()


def test_one_class_only_cannot_be_swapped():
    with pytest.raises(PathLensError, match="one class"):
        partners(np.zeros(5, dtype=np.int64), np.random.default_rng(0))


def test_accuracies_are_those_of_a_loop_over_images(lively):
    found = path_swap(lively, progress=False).frame.set_index("condition")
    network, test = load("gated"), load_dataset("digits").split("test")
    position = {image: i for i, image in enumerate(test.ids)}
    bits = {layer.name: lively.bits(layer.name) for layer in lively.layers}
    majority = {name: (2 * b.sum(axis=0) > len(b)).astype(float) for name, b in bits.items()}
    right = {"own path": 0, "majority path": 0}
    for row, image in lively.images.iterrows():
        pixels = torch.from_numpy(test.read(position[image["image"]])).permute(2, 0, 1)[None]
        for name, gates in (
            ("own path", {n: b[row].astype(float) for n, b in bits.items()}),
            ("majority path", majority),
        ):
            output, _ = network.with_path(normalise(pixels), force=gates)
            right[name] += int(output.argmax()) == image["label"]
    for name, count in right.items():
        assert found.loc[name, "accuracy"] == pytest.approx(count / 60)
    assert found.loc["own path", "accuracy"] == pytest.approx(
        (lively.images["label"] == lively.images["prediction"]).mean()
    )
    assert found.loc["own path", "lost"] == 0
    dense = lively.manifest["macs_dense"]
    assert found.loc["own path", "macs_share"] == pytest.approx(
        lively.images["macs"].mean() / dense
    )
    assert (found["lost_low"] <= found["lost"]).all()
    assert (found["lost"] <= found["lost_high"]).all()


def test_the_majority_path_is_cut_to_equal_macs(lively):
    """Against every cut there is: the best that costs no more, and nothing between it and the budget."""
    found = path_swap(lively, progress=False).frame.set_index("condition")
    own = found.loc["own path", "macs_share"]
    network = load("gated")
    rates = {layer.name: lively.bits(layer.name).mean(axis=0) for layer in lively.layers}
    costs = []
    for share in np.unique(np.concatenate(list(rates.values()))):
        path = {n: torch.from_numpy(rate > share)[None].double() for n, rate in rates.items()}
        costs.append(float(network.cost.macs(path)) / network.cost.dense)
    expected = max(cost for cost in costs if cost <= own)
    assert found.loc["majority path, equal MACs", "macs_share"] == pytest.approx(expected)
    assert max(costs) > own  # else nothing had to be cut
    by_class = found.loc["majority path of the predicted class, equal MACs", "macs_share"]
    assert by_class <= own + 1e-9


def test_swaps_by_layer_change_one_layer_only(lively):
    found = path_swap(lively, by_layer=True, progress=False).frame
    names = [layer.name for layer in lively.layers]
    assert list(found["layer"].unique()) == ["all", *names]
    assert (found.groupby("layer").size() == [7, *[6] * len(names)]).all()
    network, test = load("gated"), load_dataset("digits").split("test")
    position = {image: i for i, image in enumerate(test.ids)}
    name = names[-1]
    majority = (lively.bits(name).mean(axis=0) > 0.5).astype(float)
    right = 0
    for _, image in lively.images.iterrows():
        pixels = torch.from_numpy(test.read(position[image["image"]])).permute(2, 0, 1)[None]
        output, _ = network.with_path(normalise(pixels), force={name: majority})
        right += int(output.argmax()) == image["label"]
    row = found[(found["layer"] == name) & (found["condition"] == "majority path")]
    assert row["accuracy"].item() == pytest.approx(right / 60)


def test_swaps_from_a_layer_on_change_it_and_all_later_ones(lively):
    found = path_swap(lively, from_layer=True, progress=False).frame
    names = [layer.name for layer in lively.layers]
    assert list(found["layer"].unique()) == ["all", *(f"from {name} on" for name in names[1:])]
    network, test = load("gated"), load_dataset("digits").split("test")
    position = {image: i for i, image in enumerate(test.ids)}
    late = names[3:]
    majority = {name: (lively.bits(name).mean(axis=0) > 0.5).astype(float) for name in late}
    right = 0
    for _, image in lively.images.iterrows():
        pixels = torch.from_numpy(test.read(position[image["image"]])).permute(2, 0, 1)[None]
        output, _ = network.with_path(normalise(pixels), force=majority)
        right += int(output.argmax()) == image["label"]
    row = found[(found["layer"] == f"from {late[0]} on") & (found["condition"] == "majority path")]
    assert row["accuracy"].item() == pytest.approx(right / 60)


def test_the_table_lies_beside_the_recording_and_repeats_with_its_seed(lively):
    first = path_swap(lively.folder, progress=False)
    table = pd.read_csv(lively.folder / "path_swaps.csv")
    assert set(table["recording"]) == {lively.hash}
    pd.testing.assert_frame_equal(first.frame, path_swap(lively, progress=False).frame)
    lively.verify()  # the recording itself is untouched


def test_what_was_measured_is_what_is_read_and_shows_itself(lively):
    measured, read = (
        path_swap(lively, by_layer=True, from_layer=True, progress=False),
        path_swaps(lively),
    )
    assert isinstance(measured, PathSwaps)
    pd.testing.assert_frame_equal(measured.frame, read.frame)
    assert measured.summary() == read.summary()
    assert (measured.layers, measured.left_out) == (read.layers, read.left_out)
    own = measured.frame.set_index("condition").loc["own path", "accuracy"]
    assert f"{own:.1%} right on their own paths" in measured.summary()
    assert "data:image/png;base64," in measured._repr_html_()
    assert len(measured.plot().axes) == 3


def test_what_was_not_swapped_is_said(lively):
    assert path_swap(lively, progress=False).left_out == "swaps of single layers"


def test_a_run_trained_since_is_refused(lively):
    file = lively.folder.parent.parent / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    content["weights"]["model.classifier.bias"] += 1
    torch.save(content, file)
    with pytest.raises(PathLensError, match="another checkpoint"):
        path_swap(lively, progress=False)
