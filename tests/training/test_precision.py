"""Mixed precision and compiled steps: faster ways to the same network."""

import shutil

import pandas as pd
import pytest
import torch

from pathlens.decoupling import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.training import compiling, load
from pathlens.training import loop as loop_module
from pathlens.training.loop import Trainer

from .conftest import weights_of


def history(run):
    return pd.read_csv(run.folder / "history.csv").drop(columns="seconds")


def test_mixed_precision_runs_convolutions_in_bfloat16_and_gates_in_float32(quick, monkeypatch):
    seen = {"conv": set(), "logits": set(), "gates": set(), "measured": set()}
    original, measure = Trainer._train_step, loop_module.evaluate

    def watch(network, name):
        def hook(module, args, output):
            seen[name].add(output.dtype)

        return network.register_forward_hook(hook)

    def step(self, *args):
        watched = watch(self.network.model.stem[0], "conv")
        with_path = self.network.with_path

        def spy(*arguments, **settings):
            output, path = with_path(*arguments, **settings)
            seen["logits"] |= {logits.dtype for logits in path.logits.values()}
            seen["gates"] |= {gates.dtype for gates in path.values()}
            return output, path

        self._forward = spy
        original(self, *args)
        watched.remove()

    def measuring(network, *args, **kwargs):
        watched = watch(network.model.stem[0], "measured")
        found = measure(network, *args, **kwargs)
        watched.remove()
        return found

    monkeypatch.setattr(Trainer, "_train_step", step)
    monkeypatch.setattr(loop_module, "evaluate", measuring)
    run = quick(precision="bfloat16")
    assert seen == {
        "conv": {torch.bfloat16},
        "logits": {torch.float32},
        "gates": {torch.float32},
        "measured": {torch.float32},
    }
    assert {t.dtype for t in weights_of(run).values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.slow
def test_mixed_precision_learns_as_full_precision_does(quick):
    settings = {"limit": 600, "epochs": 5, "plain": True, "width": 0.5}
    mixed, full = quick(precision="bfloat16", **settings), quick(**settings)
    mixed, full = (run.result["test"]["accuracy"] for run in (mixed, full))
    assert mixed > 0.6
    assert mixed == pytest.approx(full, abs=0.1)


@pytest.mark.parametrize("plain", [True, False])
def test_a_compiled_run_is_the_eager_one_with_the_same_checkpoint(quick, monkeypatch, plain):
    """Traced as for any compiler, and run without one."""
    calls, compile_ = [], torch.compile

    def traced(call, **_):
        calls.append(call)
        return compile_(call, backend="aot_eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", traced)
    monkeypatch.setattr("pathlens.training.api.check_compiler", lambda device: None)
    torch._dynamo.reset()
    settings = {"plain": plain, "limit": 80, "batch_size": 35}
    eager, compiled = quick(**settings), quick(**settings, compile=True)
    assert len(calls) == 1
    assert weights_of(eager).keys() == weights_of(compiled).keys()
    pd.testing.assert_frame_equal(history(eager), history(compiled), atol=1e-4, rtol=1e-4)
    assert isinstance(load(compiled), DecoupledNetwork) is not plain


TINY = """
from torch import nn

def tiny(classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, classes),
    )
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler g++")
def test_a_compiler_compiles_a_decoupled_network(quick, tmp_path, monkeypatch):
    (tmp_path / "tiny_network.py").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    torch._dynamo.reset()
    settings = {"model": "tiny_network:tiny", "width": 1.0, "limit": 70, "batch_size": 21}
    eager = quick(**settings, epochs=1)
    compiled = quick(**settings, epochs=1, compile=True)
    pd.testing.assert_frame_equal(history(eager), history(compiled), atol=1e-4, rtol=1e-4)


def test_without_a_compiler_one_sentence_says_so_and_no_run_is_begun(quick, runs, monkeypatch):
    def broken(call):
        def run(*_):
            raise RuntimeError("no C++ compiler\nsecond line")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(PathLensError, match=r"does not work here \(no C\+\+ compiler\)"):
        quick(compile=True)
    assert not list(runs.glob("*/config.json"))


def test_a_network_that_cannot_be_compiled_is_said(monkeypatch):
    from torch._dynamo.exc import Unsupported

    def broken(call):
        def run(*_):
            raise Unsupported("a strange operator")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(PathLensError, match=r"cannot be compiled.*train without --compile"):
        compiling.compiled(torch.nn.ReLU(), True)(torch.zeros(1))
