import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.studies.conftest import modules_of

STUDY = Path(__file__).parents[2] / "analyses" / "static_pruning"
MODULES = ("planning", "pruning", "training", "measuring", "timing", "tables", "figure")


@pytest.fixture(scope="module")
def study():
    """The modules of the study."""
    with modules_of(MODULES, STUDY) as found:
        yield found


class Fire(nn.Module):
    """A small network with a concatenation, whose scores are a convolution's channels."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.squeeze = nn.Conv2d(16, 16, 1)
        self.left = nn.Conv2d(16, 24, 1)
        self.right = nn.Conv2d(16, 24, 3, padding=1)
        self.last = nn.Conv2d(48, 5, 1)

    def forward(self, x):
        x = self.squeeze(self.first(x).relu()).relu()
        x = torch.cat([self.left(x).relu(), self.right(x).relu()], dim=1)
        return self.last(x).mean(dim=(2, 3))


def answers(study, accuracies, images=1000):
    """Networks right on the first so many images; some are random, so that pairs differ."""
    rng = np.random.default_rng(0)
    found = {}
    for name, accuracy in accuracies.items():
        right = np.zeros(images, dtype=bool)
        right[rng.permutation(images)[: round(accuracy * images)]] = True
        found[name] = (0.6, right)
    return pd.DataFrame(study.tables.accuracy_rows("a", found))


def speeds(found, batch=1):
    rows = [{"batch": batch, "network": name, "speedup": value} for name, value in found.items()]
    return pd.DataFrame(rows)


def test_rows_name_every_rival_once_and_their_networks_are_kept(study):
    sets = study.planning.planned((STUDY / "rows.toml").read_text("utf-8"))
    names = [rival.name for one in sets for rival in one.rivals]
    assert len(set(names)) == len(names)
    for rival in (rival for one in sets for rival in one.rivals):
        more = "-more" if rival.start == "plain" else ""
        assert rival.name == f"{rival.set}-{rival.pruning}-{100 * rival.share:.0f}{more}"
    assert all(run.finished for one in sets for run in (one.decoupled, one.plain))
    rows = tomllib.loads((STUDY.parent / "accuracy" / "rows.toml").read_text("utf-8"))["row"]
    for one in sets:
        config = one.config()
        assert config.plain
        assert config.start_from in {row["name"] for row in rows}
        assert (config.epochs, config.recipe) == (
            one.decoupled.config["epochs"],
            study.planning.Config.from_json(one.plain.config).recipe.with_macs(0.6),
        )


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_lost_and_its_interval_by_hand(study, seed):
    rng = np.random.default_rng(seed)
    reference, own = rng.random(400) < 0.8, rng.random(400) < 0.7
    mean, low, high = study.tables.lost(reference, own)
    only_reference, only_own = (reference & ~own).sum(), (own & ~reference).sum()
    assert mean == pytest.approx((only_reference - only_own) / 400)
    squares = (only_reference + only_own) / 400 - mean**2
    half = 1.96 * np.sqrt(squares * 400 / 399 / 400)
    assert (mean - low, high - mean) == pytest.approx((half, half))


def test_equal_networks_are_the_fastest_that_are_accurate_enough(study):
    accuracy = answers(
        study,
        {
            "plain": 0.8,
            "decoupled": 0.7,
            "decoupled, cut": 0.75,
            "a-x-70": 0.72,
            "a-x-60": 0.69,
            "a-x-40": 0.4,
        },
    )
    rivals = {
        "a-x-70": 1.2,
        "a-x-60": 1.5,
        "a-x-40": 9.0,
        "decoupled, cut": 8.0,
        "a-x-70, packed": 1.7,
    }
    speed = speeds({"skipping, calibrated": 1.1, "plain": 1.0, **rivals})
    found = study.tables.equals(accuracy, speed).set_index(["criterion", "operators"])
    at_least, not_worse = "at least as accurate", "not known to be worse"
    assert found.loc[(at_least, "torch"), "pruned"] == "a-x-70"
    assert found.loc[(at_least, "torch"), "pruned_accuracy"] == pytest.approx(0.72)
    assert found.loc[(at_least, "torch"), "pruned_speedup"] == 1.2
    assert found.loc[(at_least, "oneDNN, packed"), "pruned_speedup"] == 1.7
    assert found.loc[(not_worse, "torch"), "pruned"] == "a-x-60"
    assert found.loc[(not_worse, "oneDNN, packed"), "pruned"] == "a-x-70"
    assert (found["decoupled_speedup"] == 1.1).all()


def test_no_network_is_named_where_none_is_accurate_enough(study):
    accuracy = answers(study, {"plain": 0.8, "decoupled": 0.7, "a-x-40": 0.4})
    speed = speeds({"skipping, calibrated": 1.1, "a-x-40": 9.0})
    found = study.tables.equals(accuracy, speed)
    assert (found["pruned"] == "").all()
    assert found["pruned_speedup"].isna().all()


def test_a_table_keeps_other_sets_and_sizes_of_batch(study, tmp_path):
    file = tmp_path / "speed.csv"
    for name, batch, ms in (("a", 1, 5.0), ("a", 32, 6.0), ("b", 1, 7.0), ("a", 1, 8.0)):
        rows = speeds({"plain": 1.0}, batch).assign(set=name, ms=ms)
        study.tables.update(file, rows)
    found = pd.read_csv(file).set_index(["set", "batch"])["ms"].to_dict()
    assert found == {("a", 1): 8.0, ("a", 32): 6.0, ("b", 1): 7.0}


def test_what_was_measured_is_not_measured_again(study, tmp_path):
    calls = []

    def make():
        calls.append(1)
        return 0.5, np.array([True, False, True])

    for _ in range(2):
        share, right = study.measuring.remembered(tmp_path / "x" / "a.npz", make)
        assert (share, right.tolist()) == (0.5, [True, False, True])
    assert len(calls) == 1


def test_times_are_of_the_better_order_in_memory_and_ratios_within_turns(study):
    times = {
        "plain": [9.0, 9.0, 9.0],
        "plain, last": [1.0, 2.0, 4.0],
        "x": [2.0, 2.0, 2.0],
        "x, packed": [1.0, 1.0, 1.0],
    }
    best = study.timing.best_layouts({name: np.array(t) for name, t in times.items()})
    assert best["plain"].tolist() == [1.0, 2.0, 4.0]
    rows = pd.DataFrame(study.timing.summary(best, best["plain"])).set_index("network")
    assert list(rows.index) == ["plain", "x", "x, packed"]
    assert rows.loc["x", ["ms", "speedup", "speedup_low", "speedup_high"]].tolist() == [
        2000,
        1.0,
        0.75,
        1.5,
    ]
    assert rows.loc["plain", "speedup"] == 1.0


def test_narrow_weights_make_the_network_that_they_came_from(study):
    torch.manual_seed(0)
    whole, narrow = Fire(), Fire()
    narrow.squeeze = nn.Conv2d(16, 5, 1)
    narrow.left, narrow.right = nn.Conv2d(5, 7, 1), nn.Conv2d(5, 11, 3, padding=1)
    narrow.last = nn.Conv2d(18, 5, 1)
    again = study.pruning.of_shapes(whole, narrow.state_dict())
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(again(x), narrow(x))
    assert study.pruning.macs(again, 9) == 81 * (16 * 27 + 16 * 5 + 5 * 7 + 5 * 99 + 18 * 5)


@pytest.mark.parametrize("pruning", ["magnitude", "global-magnitude", "taylor", "global-taylor"])
def test_pruning_reaches_its_share_and_keeps_the_class_scores(study, pruning):
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    network = Fire().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rng = np.random.default_rng(0)
    split = study.measuring.ImageSplit(
        "train",
        tuple(map(str, range(8))),
        np.arange(8) % 5,
        tuple("abcde"),
        lambda i: rng.integers(0, 255, (9, 9, 3)).astype(np.uint8),
    )
    view = study.planning.Config.from_json(
        study.planning.planned((STUDY / "rows.toml").read_text())[0].decoupled.config
    ).view
    loader = study.measuring.ImageLoader(split, type(view)(9, 9, 0))
    found = study.pruning.pruned(network, pruning, 0.5, loader)
    assert study.pruning.macs(found, 9) <= 0.5 * study.pruning.macs(network, 9)
    assert found(torch.randn(2, 3, 9, 9)).shape == (2, 5)
    assert found.squeeze.out_channels % study.pruning.ROUND == 0
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    again = study.pruning.of_shapes(Fire(), found.state_dict())
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(again(x), found(x))


def test_the_figure_draws_what_the_tables_hold(study):
    accuracy = answers(study, {"plain": 0.8, "decoupled": 0.7, "a-x-60": 0.69, "a-x-60-more": 0.7})
    speed = speeds({"plain": 1.0, "a-x-60": 1.5, "a-x-60-more": 1.5}).assign(set="a")
    figure = study.figure.draw(accuracy, speed)
    assert [axis.get_title() for axis in figure.axes] == ["a, 1 at once"]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["plain", "pruned, x", "pruned, x, longer trained"]
