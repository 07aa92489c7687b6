"""Ablations of single images against loops over filters, and planted decisions."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from pathlens.decoupling import decouple
from pathlens.probing.explaining import flips as module
from pathlens.probing.explaining.flips import find_flips, scores_without


class Votes(nn.Module):
    """Two layers of filters whose mean outputs are votes for classes."""

    def __init__(self, filters):
        super().__init__()
        self.stem = nn.Conv2d(3, 3, 1)
        self.first = nn.Conv2d(3, filters, 1)
        self.second = nn.Conv2d(filters, filters, 1)
        self.head = nn.Linear(filters, 3, bias=False)

    def forward(self, x):
        y = torch.relu(self.first(self.stem(x)))
        return self.head(torch.relu(self.second(y)).mean((2, 3)))


def voting(votes, first_on=True):
    """A network whose filter i of the second layer votes `votes[i]` (classes,)."""
    votes = torch.tensor(votes, dtype=torch.float32)
    model = Votes(len(votes)).eval()
    with torch.no_grad():
        for conv in (model.stem, model.first, model.second):
            conv.weight.zero_()
            conv.bias.fill_(1.0)
        model.head.weight.copy_(votes.T)
    network = decouple(model, torch.zeros(1, 3, 4, 4)).eval()
    with torch.no_grad():
        for gating in network.gating.values():
            gating.fc2.weight.zero_()
            gating.fc2.bias.fill_(1.0)
        if not first_on:
            network.gating["first"].fc2.bias.fill_(-1.0)
    return network


def random_network(seed):
    """Gates that depend on the image, in both layers."""
    torch.manual_seed(seed)
    network = decouple(Votes(12).eval(), torch.zeros(1, 3, 4, 4)).eval()
    with torch.no_grad():
        for gating in network.gating.values():
            gating.fc1.weight.normal_(std=2.0)
            gating.fc2.weight.normal_(std=2.0)
            gating.fc2.bias.normal_()
        network.model.head.weight.normal_(std=3.0)
    return network


def found(network, x, **options):
    with torch.no_grad():
        output, path = network.with_path(x)
    return find_flips(network, x, path, output[0].double().numpy(), **options), path, output[0]


@torch.no_grad()
def without(network, x, members):
    """Scores without some filters, layer by layer in one pass, the other gates decided anew."""
    force = {}
    for name, number in members:
        force.setdefault(name, torch.full((12,), torch.nan))[number] = 0.0
    return network.with_path(x, force=force)[0][0]


def margin(scores, predicted):
    others = [float(s) for i, s in enumerate(scores) if i != predicted]
    return float(scores[predicted]) - max(others)


@pytest.mark.parametrize("seed", range(6))
def test_single_ablations_are_those_of_a_loop(seed):
    network, x = random_network(seed), torch.randn(1, 3, 4, 4)
    result, path, scores = found(network, x)
    predicted = int(scores.argmax())
    assert result.margin == pytest.approx(margin(scores, predicted), abs=1e-5)
    on = [(name, i) for name in path for i in range(12) if path[name][0, i] == 1]
    assert sorted(zip(result.singles["name"], result.singles["filter"], strict=True)) == sorted(on)
    for row in result.singles.to_dict("records"):
        alone = without(network, x, [(row["name"], row["filter"])])
        assert row["margin"] == pytest.approx(margin(alone, predicted), abs=1e-5)
        assert row["drop"] == pytest.approx(result.margin - row["margin"])
        assert row["becomes"] == int(alone.argmax())
        assert row["flips"] == (row["becomes"] != predicted)
    assert (np.diff(result.singles["drop"]) <= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_set_flips_and_every_member_is_needed(seed):
    network, x = random_network(seed), torch.randn(1, 3, 4, 4)
    result, _, scores = found(network, x)
    predicted = int(scores.argmax())
    after = without(network, x, result.members)
    assert result.becomes == int(after.argmax())
    assert result.flips == (result.becomes != predicted)
    assert result.drop == pytest.approx(result.margin - margin(after, predicted), abs=1e-5)
    if result.flips and len(result.members) > 1:
        for fewer in itertools.combinations(result.members, len(result.members) - 1):
            assert int(without(network, x, fewer).argmax()) == predicted
    assert (len(result.members) == 1) == bool(result.singles["flips"].any())


def test_a_pair_that_decides_together_is_found():
    votes = [[3, 0, 0], [3, 0, 0], [0, 2, 0], [0.1, 0, 0], [0.1, 0, 0], [0, 0, 1]]
    network = voting(votes)
    result, _, _ = found(network, torch.zeros(1, 3, 4, 4))
    assert not result.singles["flips"].any()
    assert set(result.members) == {("second", 0), ("second", 1)}
    assert result.flips
    assert result.becomes == 1
    assert result.drop == pytest.approx(6.0)
    assert result.others == 14  # all other pairs of six filters
    assert result.others_flip == 0


def test_the_single_filter_that_decides_is_found_and_the_others_of_its_layer_do_not():
    result, _, _ = found(
        voting([[5, 0, 0], [0, 3, 0], [0, 0, 1], [0.5, 0, 0]]), torch.zeros(1, 3, 4, 4)
    )
    assert result.members == (("second", 0),)
    assert result.becomes == 1
    assert result.others == 3
    assert result.others_flip == 0
    assert result.others_drop == pytest.approx((-2 + 0 + 0.5) / 3)
    assert list(result.singles[result.singles["flips"]]["filter"]) == [0]


def test_a_member_that_the_flip_does_not_need_is_taken_out_again():
    """Filter 0 weighs most alone, and yet 1 and 2 together let class 1 win without it."""
    votes = [[3, 0, 0], [1.5, -14, 0], [1.5, -14, 0], [4, 0, 4], [0, 12, 0]]
    result, _, _ = found(voting(votes), torch.zeros(1, 3, 4, 4))
    assert result.singles["filter"].iloc[0] == 0
    assert set(result.members) == {("second", 1), ("second", 2)}
    assert result.becomes == 1


def test_a_search_that_fails_says_so_within_its_bound():
    votes = [[1.0, 0, 0]] * 40 + [[0, 1.0, 0]]
    result, _, _ = found(voting(votes), torch.zeros(1, 3, 4, 4))
    assert not result.flips
    assert len(result.members) == module.LARGEST_SET
    assert result.drop == pytest.approx(module.LARGEST_SET)
    assert result.becomes == 0


def test_few_passes_take_the_filters_whose_gradient_is_largest():
    weights = [4.0, 1.0, 3.0, 0.5, 2.0]
    network = voting([[w, 0, 0] for w in weights], first_on=False)
    result, _, _ = found(network, torch.zeros(1, 3, 4, 4), passes=3)
    assert set(result.singles["filter"]) == {0, 2, 4}
    assert result.untried == 2


def test_no_filter_on_is_no_ablation():
    network = voting([[1, 0, 0], [0, 1, 0]], first_on=False)
    with torch.no_grad():
        network.gating["second"].fc2.bias.fill_(-1.0)
    result, _, _ = found(network, torch.zeros(1, 3, 4, 4))
    assert result.members == ()
    assert result.singles.empty
    assert not result.flips
    assert result.others == 0


def test_other_sets_are_different_of_the_same_layers_and_repeat_with_the_seed():
    on = [("a", i) for i in range(9)] + [("b", i) for i in range(12)] + [("c", 0)]
    members = [("a", 1), ("b", 2), ("b", 5), ("c", 0)]
    drawn = module._other_sets(members, on, 100, np.random.default_rng(0))
    assert len({frozenset(one) for one in drawn}) == 100
    for one in drawn:
        assert [name for name, _ in sorted(one)] == ["a", "b", "b", "c"]
        assert len(set(one)) == 4
        assert set(one) != set(members)
        assert set(one) <= set(on)
    assert drawn == module._other_sets(members, on, 100, np.random.default_rng(0))
    assert drawn != module._other_sets(members, on, 100, np.random.default_rng(1))
    assert {n for one in drawn for layer, n in one if layer == "b"} == set(range(12))


def test_batches_do_not_change_scores():
    network, x = random_network(0), torch.randn(1, 3, 4, 4)
    sets = [[("first", 1)], [], [("second", 3), ("first", 0)], [("second", 2)]]
    steps = []
    whole = scores_without(network, x, sets, batch_size=4)
    np.testing.assert_allclose(
        scores_without(network, x, sets, batch_size=3, step=steps.append), whole, atol=1e-5
    )
    assert steps == [3, 1]
    for row, members in zip(whole, sets, strict=True):
        np.testing.assert_allclose(row, without(network, x, members), atol=1e-5)
