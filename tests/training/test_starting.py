"""The first gates of a training: predictions of responses where there is a trained network, else open."""

import pytest

from pathlens.recorder import record
from pathlens.training import load_run

from .conftest import same_weights, weights_of


@pytest.fixture
def plain(quick):
    return quick(plain=True, run="plain", epochs=3)


def test_gates_of_a_trained_network_start_as_predictions(quick, plain):
    run = quick(start_from="plain", run="gated", epochs=0)
    recording = record(run, progress=False)
    for layer in recording.layers:
        bits = recording.bits(layer.name)
        assert 0.6 < bits.mean() < 0.99  # 0.9 in the fit, of layers that saw all filters
        rates = bits.mean(axis=0)
        assert ((rates > 0.02) & (rates < 0.98)).any()  # the image decides
    # Most of what the plain network knows survives before any training.
    accuracy = load_run(run).run.result["test"]["accuracy"]
    assert accuracy > 0.6 * plain.result["test"]["accuracy"]


def test_gates_of_a_network_from_scratch_start_open(quick):
    run = quick(run="scratch", epochs=0)
    assert run.result["test"]["density"] == 1


def test_the_start_repeats_with_its_seed(quick, plain):
    first = weights_of(quick(start_from="plain", run="first", epochs=0, seed=1))
    again = weights_of(quick(start_from="plain", run="again", epochs=0, seed=1))
    other = weights_of(quick(start_from="plain", run="other", epochs=0, seed=2))
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_the_wrapped_network_is_untouched_by_the_start(quick, plain):
    gated = weights_of(quick(start_from="plain", run="gated", epochs=0))
    for name, tensor in weights_of(plain).items():
        assert gated[f"model.{name}"].equal(tensor)
