"""Every family of networks: what is gated and where, bit-equality, random paths, copies."""

import copy

import pytest
import torch
from torch.utils._pytree import tree_leaves

from pathlens.decoupling import decouple
from pathlens.decoupling.layout import lay_out
from pathlens.decoupling.observe import observe

from .families import FAMILIES, Case
from .networks import enliven, random_gates


@pytest.fixture(scope="module", params=FAMILIES)
def case(request):
    with torch.no_grad():
        yield Case(request.param, images=2)


def equal(a, b):
    a, b = tree_leaves(a), tree_leaves(b)
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def finite(output):
    return all(bool(leaf.isfinite().all()) for leaf in tree_leaves(output))


def test_gated_and_not_gated_are_what_the_family_says_by_hand(case):
    layout = lay_out(case.plain, observe(case.plain, case.x))
    assert {conv.layer.name: conv.site for conv in layout.gated} == case.sites
    found = {entry.name: entry.reason for entry in case.network.not_gated}
    assert found.keys() == case.reasons.keys()
    for name, reason in case.reasons.items():
        assert found[name].startswith(reason), name


def test_all_gates_on_is_bit_equal(case):
    expected = case.plain(case.x)
    assert finite(expected)
    assert equal(case.network.with_path(case.x, force={"*": 1})[0], expected)


def test_all_gates_on_is_bit_equal_in_train_mode(case):
    plain, network = copy.deepcopy(case.plain).train(), copy.deepcopy(case.network).train()
    torch.manual_seed(3)
    expected = plain(case.x)
    torch.manual_seed(3)  # hard gates draw no noise, so that dropout draws what it drew
    output, _ = network.with_path(case.x, force={"*": 1}, gates="hard")
    assert type(output) is type(expected)
    assert equal(output, expected)
    assert equal(network.restore().state_dict(), plain.state_dict())  # statistics of BN moved alike


def test_a_random_path_per_image_equals_the_masked_reference(case):
    gates = random_gates(case.network, 2, seed=5)
    output, path = case.network.with_path(case.x, force=gates)
    assert all(torch.equal(path[name], gates[name]) for name in case.sites)
    assert finite(output)
    with case.masks(case.plain, gates):
        expected = case.plain(case.x)
    assert equal(output, expected)
    assert not equal(output, case.plain(case.x))


def test_restore_is_bit_equal(case):
    restored = case.network.restore()
    assert equal(restored(case.x), case.plain(case.x))
    assert list(restored.state_dict()) == list(case.plain.state_dict())
    assert equal(restored.state_dict(), case.plain.state_dict())


def test_deepcopy_and_state_dict_give_the_same_paths_and_are_independent(case):
    network = enliven(copy.deepcopy(case.network))
    output, path = network.with_path(case.x)
    assert 0.05 < path.density() < 0.95
    twin, other = copy.deepcopy(network), decouple(case.plain, case.x)
    other.load_state_dict(network.state_dict())
    for parameter in network.parameters():
        parameter.zero_()
    for same in (twin, other):
        again, its_path = same.with_path(case.x)
        assert equal(again, output)
        assert all(torch.equal(its_path[name], path[name]) for name in path)
