"""A run that is killed, wherever it stands, becomes the uninterrupted one."""

import os
import signal

import pandas as pd
import pytest

from pathlens.runs import Run
from pathlens.training import InterruptedTraining, train
from pathlens.training.checkpoint import load_checkpoint
from pathlens.training.loop import Trainer

from .conftest import same_weights, weights_of
from .killing import time_of, train_through_kills

SETTINGS = {
    "model": "small_cnn",
    "data": "digits",
    "width": 0.25,
    "limit": 100,
    "epochs": 4,
    "batch_size": 16,
    "progress": False,
}
BEST = 'keep = "best"\n[optimiser]\nlr_from_scratch = 0.05\n[gating]\nstandardise = true\n'
VARIANTS = ["float32", "bfloat16", "best"]


def settings_of(variant, folder):
    if variant == "best":
        (folder / "best.toml").write_text(BEST)
        return {"recipe": str(folder / "best.toml")}
    return {"precision": variant}


def history(run):
    return pd.read_csv(run.folder / "history.csv").drop(columns="seconds")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_killed_at_random_moments_ends_with_the_same_weights(tmp_path, runs, variant):
    settings = {**SETTINGS, **settings_of(variant, tmp_path)}
    took = time_of(runs, {**settings, "run": "whole"})
    killed = train_through_kills(
        runs, {**settings, "run": "killed"}, took, hits=2, seed=VARIANTS.index(variant)
    )
    whole = Run(runs / "whole")
    assert same_weights(weights_of(whole), weights_of(killed))
    assert whole.result == killed.result
    pd.testing.assert_frame_equal(history(whole), history(killed), check_exact=True)
    assert {path.name for path in killed.folder.iterdir()} == {
        path.name for path in whole.folder.iterdir()
    }


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_ctrl_c_within_an_epoch_changes_nothing_either(quick, monkeypatch, tmp_path, variant):
    changes = settings_of(variant, tmp_path)
    whole = quick(run="whole", **changes)
    original, calls = Trainer._train_step, []

    def interrupting(self, *args):
        original(self, *args)
        calls.append(1)
        if len(calls) == 9:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_train_step", interrupting)
    with pytest.raises(InterruptedTraining, match="in epoch 2 of 2 after step 3 of 6"):
        quick(run="cut", **changes)
    monkeypatch.setattr(Trainer, "_train_step", original)
    resumed = train(run="cut", progress=False)
    assert same_weights(weights_of(whole), weights_of(resumed))
    pd.testing.assert_frame_equal(history(whole), history(resumed), check_exact=True)


@pytest.mark.parametrize("where", ["_write_result", "write_json"])
def test_a_kill_after_the_last_epoch_loses_nothing(quick, monkeypatch, tmp_path, where):
    """Between the last checkpoint and the result, where weights and BN statistics are replaced."""
    import pathlens.training.finishing as finishing

    changes = settings_of("best", tmp_path)
    whole = quick(run="whole", **changes)

    def killed(*_):
        raise KeyboardInterrupt

    original = getattr(finishing, where)
    monkeypatch.setattr(finishing, where, killed)
    with pytest.raises(KeyboardInterrupt):
        quick(run="cut", **changes)
    monkeypatch.setattr(finishing, where, original)
    resumed = quick(run="cut", **changes)
    assert same_weights(weights_of(whole), weights_of(resumed))
    assert whole.result == resumed.result


def test_the_checkpoint_needs_no_state_of_random_generators(quick):
    state = load_checkpoint(quick().checkpoint)["training"]
    assert not [name for name in state if "rng" in name]
