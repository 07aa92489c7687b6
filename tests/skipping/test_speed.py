"""Measuring: what is timed, in which order, and what calibration makes of it; no time is asserted."""

import numpy as np
import pytest
import torch

from pathlens.errors import PathLensError
from pathlens.skipping import calibration, skip
from pathlens.skipping.speed import measure
from pathlens.skipping.speed.forms import DENSE, DENSE_LAST, DENSE_PACKED, FORMS, Forms
from pathlens.skipping.speed.profile import profile
from pathlens.skipping.speed.timing import in_turns, once, threads

from .comparing import TOLERANCE, apart, drawn, small


@pytest.fixture(scope="module")
def subject():
    with torch.no_grad():
        network, x = small(images=4)
        return network, x, Forms(network, x[:1])


def test_calls_take_turns_and_the_first_of_each_pair_is_not_timed():
    now, called = [0.0], []

    def calls(turn):
        def run(name, seconds):
            called.append((turn, name))
            now[0] += seconds if called.count((turn, name)) == 2 else 100

        return {"a": lambda: run("a", 1 + turn), "b": lambda: run("b", 10)}

    times = in_turns(calls, 3, torch.device("cpu"), clock=lambda: now[0])
    assert times["a"].tolist() == [1, 2, 3]
    assert times["b"].tolist() == [10, 10, 10]
    assert called == [(turn, name) for turn in range(3) for name in "aabb"]


def test_short_calls_are_timed_several_times_together():
    now, called = [0.0], []

    def call():
        called.append(now[0])
        now[0] += 0.003 if len(called) == 1 else 0.002

    assert once(call, lambda: now[0], torch.device("cpu")) == pytest.approx(0.002)
    assert len(called) == 1 + 4


def test_threads_are_set_and_set_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@torch.no_grad()
@pytest.mark.parametrize("images", [1, 3])
def test_every_form_gives_the_answers_that_it_should(subject, images):
    network, x, forms = subject
    batch = x[:images]
    plain = network.with_path(batch, force={"*": 1})[0]
    for force in (None, drawn(network, images, 0.5, seed=3)):
        calls = forms.calls(batch, force)
        assert list(calls) == list(FORMS)
        expected, path = network.with_path(batch, force=force)
        union = {name: gates.amax(dim=0) for name, gates in path.items()}
        for name, call in calls.items():
            found = call()
            while not isinstance(found, torch.Tensor):
                found = found[0]
            answer = expected
            if name in (DENSE, DENSE_LAST, DENSE_PACKED):
                answer = plain
            elif name.startswith("cut"):
                answer = network.with_path(batch, force=union)[0]
            assert apart(found, answer) < TOLERANCE, name


def test_the_profile_has_every_step_and_the_share_of_filters_on(subject):
    network, x, forms = subject
    path = drawn(network, 1, 0.5, seed=1)
    frame = profile(forms.skipping, x[:1], force=path, turns=2)
    gated = frame[frame["share"].notna()].set_index("step")["share"]
    assert set(gated.index) == set(network.layers.names)
    for name, gates in path.items():
        assert gated[name] == pytest.approx(float(gates.mean()))
    assert (frame[["dense_ms", "skipping_ms"]] > 0).all(axis=None)
    assert (frame["kind"] == "gating").sum() >= len(network.layers)
    assert len(frame) == len(forms.skipping.plan_for((x[:1],)).steps)


def test_the_table_has_a_row_for_every_form_and_counts_the_macs(subject):
    network, x, _ = subject
    path = {name: gates[0] for name, gates in drawn(network, 1, 0.5, seed=1).items()}
    settings = {"batch_sizes": (2,), "thread_counts": (1,), "turns": 2, "progress": False}
    found = measure(network, x, force=path, **settings)
    macs = found.frame.set_index("form")["macs"]
    cost, gates = network.cost, {name: g[None] for name, g in path.items()}
    assert macs["masked"] == cost.dense + cost.gating
    assert macs["skipping"] == int(cost.macs(gates)) == macs["cut"] + cost.gating
    assert found.frame.set_index("form")["speedup"]["dense"] == 1
    assert len(found.to_json()["forms"]) == len(found.frame) == len(FORMS) - 1
    own = measure(network, x, **settings).frame.set_index("form")["macs"]
    batches = [x[turn * 2 % (len(x) - 1) :][:2] for turn in range(2)]
    paths = [network.with_path(batch)[1] for batch in batches]
    mean = np.mean([float(cost.macs(dict(found)).mean()) for found in paths])
    assert own["skipping"] == pytest.approx(mean, abs=1)
    with pytest.raises(PathLensError, match="too few for a batch"):
        measure(network, x, **{**settings, "batch_sizes": (5,)})
    with pytest.raises(PathLensError, match="from 1 on"):
        measure(network, x, **{**settings, "turns": 0})


@pytest.mark.parametrize("fastest", ["each", "union", "dense"])
def test_calibration_runs_batches_as_was_fastest_over_several_images(fastest, monkeypatch):
    network, x = small(images=4)
    skipping = skip(network, x)
    seen = []

    def times(calls, turns, device):
        if len(calls) != len(calibration.MODES):
            return [1.0] * len(calls)
        for call in calls:
            seen.append(len(call()))
        return [0.5 if mode == fastest else 1.0 for mode in calibration.MODES]

    monkeypatch.setattr(calibration, "_times", times)
    found = skipping.calibrate(x, force=drawn(network, 4, 0.5, seed=1), batch_sizes=[2])
    assert set(found.modes.values()) == {fastest} == {skipping.mode_for(n) for n in (1, 2, 9)}
    assert seen == [4] * 3 + [2] * 3  # all four images alone, and both batches of two
    assert found.seconds[2, fastest] == 0.25


@pytest.mark.parametrize(("union", "mode"), [(0.85, "union"), (0.95, "dense")])
def test_dense_is_kept_where_skipping_gains_too_little(union, mode, monkeypatch):
    network, x = small(images=1)
    skipping = skip(network, x)
    seconds = {"each": 1.0, "union": union, "dense": 1.0}
    monkeypatch.setattr(
        calibration,
        "_times",
        lambda calls, *_: [seconds[name] for name in calibration.MODES][: len(calls)],
    )
    assert skipping.calibrate(x).modes == {1: mode}
