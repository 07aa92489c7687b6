"""The answers of every family of networks are those of the masked network."""

import pytest
import torch
from decoupling.families import FAMILIES
from decoupling.networks import enliven

from pathlens.skipping import skip

from .comparing import TOLERANCE, apart, drawn, same_gates
from .shallow import Case

# What the graph does not let through; every other family has no fallback.
MIXED = {
    "mobilenet_v3_small": "mul", "efficientnet_b0": "mul", "shufflenet_v2_x0_5": "view",
    "regnet_y_400mf": "grouped", "resnext50_32x4d": "grouped", "convnext_tiny": "permute",
    "resnet18_group_norm": "needs all filters",
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def case(request):
    with torch.no_grad():
        found = Case(request.param, images=2)
        found.name = request.param
        enliven(found.network).eval()
        found.skipping = skip(found.network, found.x)
        yield found


def assert_same(case, force, images=1):
    x = case.x[:images]
    expected = case.network.with_path(x, force=force)[0]
    output = case.skipping.with_path(x, force=force)[0]
    assert type(output) is type(expected)
    assert apart(output, expected) < TOLERANCE
    return expected


@pytest.mark.parametrize("density", [0.3, 0.7])
def test_a_random_path(case, density):
    assert_same(case, drawn(case.network, 1, density, seed=int(10 * density)))


def test_a_batch_of_mixed_paths(case):
    assert_same(case, drawn(case.network, 2, 0.5, seed=5), images=2)


def test_everything_on(case):
    expected = assert_same(case, {"*": 1}, images=2)
    assert apart(expected, case.plain(case.x)) < TOLERANCE


def test_everything_off(case):
    assert_same(case, {"*": 0}, images=2)


def test_every_other_layer_off(case):
    path = drawn(case.network, 1, 0.5, seed=3)
    for layer in case.network.layers:
        if layer.index % 2:
            path[layer.name] = torch.zeros(1, layer.filters)
    assert_same(case, path)


def test_a_single_filter_on(case):
    assert_same(case, {x.name: torch.eye(x.filters)[-1 - x.index % 3] for x in case.network.layers})


def test_own_gates(case):
    output, path = case.skipping.with_path(case.x)
    expected, masked = case.network.with_path(case.x)
    same, near = same_gates(path, masked)
    assert same
    assert list(path) == list(masked)
    if not near:
        assert apart(output, expected) < TOLERANCE
        assert apart(case.skipping(case.x), expected) < TOLERANCE


def test_the_cut_to_a_path(case):
    path = drawn(case.network, 1, 0.5, seed=8)
    cut = case.skipping.static(path, case.x)
    assert apart(cut(case.x[:1]), case.network.with_path(case.x[:1], force=path)[0]) < TOLERANCE
    assert apart(cut(case.x), case.network.with_path(case.x, force=path)[0]) < TOLERANCE


def test_where_skipping_stops_is_told(case):
    reasons = [entry.reason for entry in case.skipping.fallbacks]
    if case.name in MIXED:
        assert reasons
        assert all(MIXED[case.name] in reason for reason in reasons)
    else:
        assert not reasons
