"""Variants of gates, losses and attributes trained end to end, each a second or two."""

import json
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch

from pathlens.datasets import load_dataset
from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.decoupling import DecoupledNetwork, GumbelHashing, set_density
from pathlens.errors import PathLensError
from pathlens.recorder import record
from pathlens.training import InterruptedTraining, load, load_run, train
from pathlens.training.checkpoint import load_checkpoint
from pathlens.training.loop import Trainer


def weights(run):
    return load_checkpoint(run.checkpoint)["weights"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@contextmanager
def stopped_after_an_epoch(monkeypatch):
    """What trains in here is interrupted when its first epoch is saved."""
    finish = Trainer._finish_epoch

    def stop(self):
        finish(self)
        raise InterruptedTraining("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_finish_epoch", stop)
        with pytest.raises(InterruptedTraining):
            yield


@pytest.fixture
def recipe(tmp_path):
    """Path of a recipe with these lines."""

    def write(text):
        (tmp_path / "own.toml").write_text(text)
        return str(tmp_path / "own.toml")

    return write


def test_gumbel_is_trained_with_and_resumed_exactly(quick, recipe, monkeypatch):
    name = recipe(
        "[hash]\nkind = 'gumbel'\ntemperature = 0.5\nnoise_until = 0.3\nhard_from = 0.9\n"
        "[losses]\nmutual_information = 0.1\nsparsity_weight = 0.01\n"
    )
    seen = []
    original = Trainer._set_schedule

    def spy(self, *args):
        original(self, *args)
        seen.append(self.network.hashing)

    monkeypatch.setattr(Trainer, "_set_schedule", spy)
    whole = quick(recipe=name, run="whole")
    assert all(isinstance(h, GumbelHashing) and h.temperature == 0.5 for h in seen)
    assert seen[0].noise == 1
    assert seen[-1].noise == 0
    with stopped_after_an_epoch(monkeypatch):
        quick(recipe=name, run="cut")
    assert same(weights(whole), weights(quick(recipe=name, run="cut")))


def test_top_k_lowers_its_density_to_the_budget_and_comes_back_from_disk(quick, monkeypatch):
    seen = []
    original = Trainer._set_schedule

    def spy(self, *args):
        original(self, *args)
        seen.append(int(self.network.gating_module(1).k))

    monkeypatch.setattr(Trainer, "_set_schedule", spy)
    run = quick(recipe="top-k", width=1.0, macs=0.6)
    assert seen[0] == 32
    assert seen == sorted(seen, reverse=True)
    assert 0.52 < run.result["test"]["macs_share"] < 0.63
    network = load(run)
    assert int(network.gating_module(1).k) == seen[-1] < 32
    x = torch.randn(5, 3, 32, 32)
    _, path = network.with_path(x)
    assert (path[network.layers[0].name].sum(dim=1) == seen[-1]).all()
    assert "saliency" in pd.read_csv(run.folder / "history.csv")


def test_a_share_of_filters_is_what_top_k_keeps(quick, recipe):
    name = recipe(
        "[gating]\nkind = 'top-k'\n[losses]\nsparsity = 'filters'\nsparsity_target = 0.25"
    )
    run = quick(recipe=name, width=1.0, epochs=1)
    assert run.result["test"]["density"] == pytest.approx(0.25)


def test_top_k_paths_are_recorded_as_bits(quick):
    run = quick(recipe="top-k", width=1.0, epochs=1)
    recording = record(run, progress=False)
    k = int(load(run).gating_module(1).k)
    assert (recording.bits(1).sum(axis=1) == k).all()


def test_a_budget_that_cannot_be_met_is_refused_before_anything_is_written(quick, runs):
    with pytest.raises(PathLensError, match="cannot be met"):
        quick(recipe="top-k", macs=0.01)
    assert not list(runs.glob("*/config.json"))


@pytest.mark.parametrize("target", [0.3, 0.8])
def test_a_global_budget_of_filters_is_met(quick, recipe, target):
    name = recipe(
        "[optimiser]\ngating_lr = 0.5\n[gating]\nstandardise = true\n[hash]\nnoise_until = 0.2\n"
        f"hard_from = 0.4\n[losses]\nsparsity = 'filters'\nsparsity_target = {target}\n"
        "sparsity_weight = 100.0\nsparsity_lowered_until = 0.3\n"
    )
    run = quick(recipe=name, epochs=6, batch_size=16)
    assert abs(run.result["test"]["density"] - target) < 0.12


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("attribute = 'concept'\nattribute_name = 'colour:red'", 2),
        ("attribute = 'instance'\nattribute_buckets = 50", 50),
        ("attribute = 'class'", 10),
    ],
)
def test_the_auxiliary_classifiers_have_a_row_for_every_value(quick, recipe, text, values):
    name = recipe(f"[losses]\nmutual_information = 0.1\n{text}\n")
    run = quick(data="scenes", recipe=name, epochs=1, limit=80, batch_size=16, width=0.25)
    objective = load_checkpoint(run.checkpoint)["training"]["objective"]
    assert objective["auxiliary.classifiers.0.weight"].shape[0] == values


def test_a_missing_attribute_is_refused_before_anything_is_written(quick, recipe, runs):
    name = recipe(
        "[losses]\nmutual_information = 1\nattribute = 'concept'\nattribute_name = 'red'\n"
    )
    with pytest.raises(PathLensError, match="knows no concepts"):
        quick(recipe=name)
    assert not list(runs.glob("*/config.json"))


SHORTCUT = """
from torch import nn
class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.deep = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1))
        self.project = nn.Conv2d(4, 6, 1)
        self.head = nn.Linear(6, classes)
    def forward(self, x):
        x = self.stem(x).relu()
        return self.head((self.deep(x) + self.project(x)).relu().mean((2, 3)))
"""


@pytest.mark.parametrize("projections", [False, True])
def test_projections_are_gated_if_the_recipe_says_so_and_come_back_from_disk(
    quick, recipe, tmp_path, monkeypatch, projections
):
    (tmp_path / "shortcut.py").write_text(SHORTCUT)
    monkeypatch.chdir(tmp_path)
    name = recipe(f"[gating]\nprojections = {str(projections).lower()}\n")
    run = quick(model="shortcut:Network", width=1.0, recipe=name, epochs=1)
    loaded = load_run(run)
    assert ("project" in loaded.network.layers.names) == projections
    assert same(loaded.network.state_dict(), weights(run))


def superclasses(folder, groups):
    rows = [f"{digit},{group}" for digit, group in enumerate(groups)]
    (folder / "groups.csv").write_text("\n".join(["class,group", *rows]) + "\n")


@pytest.mark.parametrize("whole_command", [False, True])
def test_a_run_whose_attribute_table_has_changed_is_not_resumed(
    quick, recipe, tmp_path, monkeypatch, whole_command
):
    superclasses(tmp_path, "aabbbabbab")
    name = recipe(
        "[losses]\nmutual_information = 0.1\nattribute = 'superclass'\n"
        "attribute_table = 'groups.csv'\n"
    )

    def resume():
        return quick(recipe=name, run="one") if whole_command else train(run="one", progress=False)

    with stopped_after_an_epoch(monkeypatch):
        quick(recipe=name, run="one")
    superclasses(tmp_path, "aabbbabbaa")
    with pytest.raises(PathLensError, match=r"groups.csv no longer says .*put it back as it was"):
        resume()
    superclasses(tmp_path, "ccdddcddcd")  # other names, the same superclasses
    assert resume().finished


def test_a_run_that_did_not_note_its_attribute_is_resumed(quick, monkeypatch, runs):
    with stopped_after_an_epoch(monkeypatch):
        quick(run="old")
    config = json.loads((runs / "old" / "config.json").read_text())
    assert config.pop("attribute")
    (runs / "old" / "config.json").write_text(json.dumps(config))
    assert quick(run="old").finished


# ------------------------------------------------------------------ gates that are not applied


@pytest.fixture
def plain(quick):
    return quick(plain=True, run="plain")


def test_unapplied_gates_learn_and_the_network_stays_the_plain_one(quick, plain):
    run = quick(unapplied=True, start_from="plain", run="beside", epochs=3)
    ours, theirs = run.result["test"], plain.result["test"]
    assert (ours["accuracy"], ours["loss"]) == (theirs["accuracy"], theirs["loss"])
    network = load(run)
    assert isinstance(network, DecoupledNetwork)
    assert not network.applied
    assert same(network.restore().state_dict(), weights(plain))
    x = torch.randn(7, 3, 32, 32)
    assert torch.equal(network(x), load(plain)(x))
    history = pd.read_csv(run.folder / "history.csv")
    assert {"mutual_information", "alignment", "sparsity"} <= set(history)
    assert history["classification"].nunique() <= 3
    start = quick(unapplied=True, start_from="plain", run="start", epochs=0)
    first, last = load(start).gating_module(1), load(run).gating_module(1)
    assert not torch.equal(first.fc2.weight, last.fc2.weight)
    # The statistics of the pooled inputs are the gating module's own, and are estimated.
    assert not torch.equal(first.standardise.running_mean, last.standardise.running_mean)


def test_unapplied_gates_are_recorded_with_the_plain_predictions(quick, plain):
    run = quick(unapplied=True, start_from="plain", run="beside", epochs=4, batch_size=16)
    loaded = load_run(run)
    recording = record(run, batch_size=512, progress=False)
    loader = ImageLoader(load_dataset("digits").split("test"), loaded.config.view)
    x = normalise(centre(loader.read(range(len(loader.split))).canvas, loaded.config.view))
    with torch.no_grad():
        scores = load(plain)(x)
        _, path = loaded.network.with_path(x)
    assert recording.images["prediction"].tolist() == scores.argmax(dim=1).tolist()
    for layer in recording.layers:
        assert np.array_equal(recording.bits(layer.name), path[layer.name].numpy() > 0.5)
    # Nothing is spared, and the manifest says why.
    cost = loaded.network.cost
    assert set(recording.images["macs"]) == {cost.dense + cost.gating}
    assert "not applied" in recording.manifest["extra"]["gates"]
    # The gates have learnt to close, and would change the network if they were applied.
    assert 0.3 < recording.bits(1).mean() < 0.99
    loaded.network.applied = True
    assert not torch.equal(loaded.network(x), scores)


def test_unapplied_runs_keep_every_module_of_the_network_in_eval_mode(quick, plain, monkeypatch):
    modes = []
    original = Trainer._train_step

    def spy(self, *args):
        modes.append({m.training for m in self.network.model.modules()})
        modes.append({m.training for m in self.network.gating.modules()})
        original(self, *args)
        assert all(p.grad is None for p in self.network.model.parameters())

    monkeypatch.setattr(Trainer, "_train_step", spy)
    quick(unapplied=True, start_from="plain", epochs=1)
    assert modes[::2] == [{False}] * (len(modes) // 2)
    assert modes[1::2] == [{True}] * (len(modes) // 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "give its run with --from"),
        ({"start_from": "plain", "plain": True}, "not --plain"),
        ({"start_from": "gated"}, "Run gated has gates already"),
        ({"start_from": "plain", "recipe": "top-k"}, "no loss that gates learn from"),
    ],
)
def test_unapplied_needs_a_plain_run(quick, plain, runs, changes, message):
    if changes.get("start_from") == "gated":
        quick(run="gated", epochs=0)
    before = set(runs.glob("*/config.json"))
    with pytest.raises(PathLensError, match=message):
        quick(unapplied=True, **changes)
    assert set(runs.glob("*/config.json")) == before


def test_an_unapplied_run_resumes_by_name_as_what_it_is(quick, plain, monkeypatch):
    whole = quick(unapplied=True, start_from="plain", run="whole")
    with stopped_after_an_epoch(monkeypatch):
        quick(unapplied=True, start_from="plain", run="cut")
    with pytest.raises(PathLensError, match="keeps the settings"):
        train(run="cut", unapplied=True, progress=False)
    resumed = train(run="cut", progress=False)
    assert json.loads((resumed.folder / "config.json").read_text())["unapplied"]
    assert same(weights(whole), weights(resumed))


def test_forced_gates_do_nothing_where_gates_are_not_applied(quick, plain):
    network = load(quick(unapplied=True, start_from="plain", epochs=0))
    x = torch.randn(3, 3, 32, 32)
    output, path = network.with_path(x, force={1: 0})
    assert torch.equal(output, network(x))
    assert not path[network.layers[0].name].any()
    set_density(network, 0.5)  # of no meaning to hashed gates, and no error
