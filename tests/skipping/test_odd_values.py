"""Values that the compiled loops cannot take as they come: other precisions, strides, no row an image."""

import ast
import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pathlens.skipping import asking, calibration, kernels, skip
from pathlens.skipping.channels import Kept
from pathlens.skipping.processor import Compiled, Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps import addition, gating

from .comparing import TOLERANCE, apart, drawn, lively, same_gates, small


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = (nn.Conv2d(n, 16, 3, padding=1) for n in (3, 16, 16))
        self.c, self.head = nn.Conv2d(16, 24, 3), nn.Linear(24, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        y = torch.relu(self.mixed(x)).float()
        return self.head(torch.relu(self.c(self.b(y) + y)).mean((2, 3)))


class Double(Base):
    def mixed(self, x):
        return x.double() + self.a(x)


class Brief(Base):
    def mixed(self, x):
        return x.bfloat16() + self.a(x)


class Expanded(Base):
    def mixed(self, x):
        return x.mean((2, 3), keepdim=True).expand(-1, -1, *x.shape[2:]) + self.a(x)


class Overlapping(Base):
    def mixed(self, x):
        return F.pad(x, (1, 1)).unfold(3, 3, 1)[..., 0] + self.a(x)


class OfTheBatch(Base):
    def mixed(self, x):
        return x + self.a(x.mean(0, keepdim=True))


class OfAParameter(Base):
    def __init__(self):
        super().__init__()
        self.grid = nn.Parameter(torch.ones(1, 16, 12, 12))

    def mixed(self, x):
        return x + self.a(self.grid)


class Slices(Base):
    def __init__(self):
        super().__init__()
        self.d, self.e = (nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))

    def mixed(self, x):
        thin = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 0)) + F.max_pool2d(self.a(x), 2)
        turned = torch.relu(thin).transpose(2, 3)
        part = (self.d(turned) + turned)[:, :, 1:, 1:]
        return part + self.e(part)


ODD = [Double, Brief, Expanded, Overlapping, OfTheBatch, OfAParameter, Slices]


@pytest.mark.parametrize("mode", ["union", "each", "dense"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_values_give_what_the_masked_network_gives(odd, mode):
    x = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    network = lively(odd(), x[:1])
    skipping = skip(network, x[:1])
    for images in (x[:1], x):
        skipping.modes = {len(images): mode}
        output, path = skipping.with_path(images)
        expected, masked = network.with_path(images)
        assert same_gates(path, masked)[0]
        assert apart(output, expected) < TOLERANCE


class LessTheMeanOfTheBatch(Base):
    def mixed(self, x):
        return x - x.mean(0, keepdim=True) + self.a(x)


@pytest.mark.parametrize("odd", [LessTheMeanOfTheBatch, Slices])
@pytest.mark.parametrize("given", [1, 3])
def test_calibration_runs_no_image_alone_whose_answer_hangs_on_the_others(odd, given, monkeypatch):
    x = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    network = lively(odd(), x[:1])
    skipping = skip(network, x[:1])
    monkeypatch.setattr(  # image by image is always the fastest
        calibration, "_times", lambda calls, *_: [1.0, 5.0, 5.0][-len(calls) :]
    )
    monkeypatch.setattr(calibration, "_GAIN", 1.1)
    modes = skipping.calibrate(x[:given]).modes
    assert ("each" in modes.values()) == (odd is Slices)
    assert apart(skipping(x), network(x)) < TOLERANCE


class Wide(Base):
    def forward(self, x):
        x = torch.relu(self.stem(x))
        scores = self.head(torch.relu(self.c(x)).mean((2, 3)))
        return scores, x + self.a(x).double()


@pytest.mark.parametrize("mode", ["union", "dense"])
def test_sums_have_the_wider_precision_of_both(mode):
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    network = lively(Wide(), x)
    skipping = skip(network, x)
    skipping.modes = {2: mode}
    made = skipping(x)
    assert made[1].dtype == torch.float64
    assert apart(made, network(x)) < TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float32])
def test_gating_modules_are_asked_alike_in_every_precision_and_order(dtype):
    network, x = small()
    plan = skip(network, x).plan_for((x,))
    step = next(step for step in plan.steps if isinstance(step, gating.Decide))
    picture = torch.randn(2, 16, 24, 24, generator=torch.Generator().manual_seed(2)).to(dtype)
    logits = []
    for value in (picture, picture.float().contiguous(memory_format=torch.channels_last)):
        run = Run(2, [None] * plan.slots, [None] * plan.kept, [None] * 5, [None] * 5)
        run.values[step.pool.source] = value
        step(run)
        logits.append(run.logits[0])
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("odd", [OfTheBatch, OfAParameter])
def test_what_has_no_row_for_every_image_runs_masked_and_says_why(odd):
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    (reason,) = skip(lively(odd(), x[:1]), x[:1]).fallbacks
    assert "layer a reads a value that has no row for every image" in reason.reason


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_sums_made_while_adding_hang_on_no_order_in_memory(last, rectify):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 3, 7, 5, generator=generator).transpose(2, 3)
    into = torch.randn(1, 8, 5, 7, generator=generator)
    if last:
        into = into.contiguous(memory_format=torch.channels_last)
    kept, sums = Kept(np.array([1, 4, 6]), 8), np.empty(8, np.float32)
    expected = Processor(torch.device("cpu"), torch.float32).scatter_add(
        x, kept, into.clone(), rectify=rectify
    )
    made = Compiled().scatter_add_and_sum(x, kept, into.clone(), sums, rectify=rectify)
    torch.testing.assert_close(made, expected)
    np.testing.assert_allclose(sums, expected.sum((0, 2, 3)).numpy(), rtol=1e-5, atol=1e-5)


def test_a_static_cut_makes_no_pools_and_leaves_the_plan_as_it_is(monkeypatch):
    network, x = small()
    skipping = skip(network, x)
    before = skipping.with_path(x)[0]
    static = skipping.static({name: g[0] for name, g in drawn(network, 1, 0.5, 1).items()}, x)

    def pooled(*_):
        raise AssertionError("a pool was made")

    with monkeypatch.context() as patched:
        patched.setattr(gating.Pool, "__call__", pooled)
        patched.setattr(addition.Addition, "_add_and_pool", pooled)
        static(x[:1])
        static(x)
    assert torch.equal(skipping.with_path(x)[0], before)


@pytest.mark.parametrize("inside", [False, True])
def test_autocast_may_begin_after_planning_or_before(inside):
    network, x = small()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
        skipping = skip(network, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for images in (x, x[:1]):
            gates = drawn(network, len(images), 0.5, seed=1)
            expected = network.with_path(images, force=gates)[0]
            assert (
                apart(skipping.with_path(images, force=gates)[0].float(), expected.float()) < 0.05
            )
    assert apart(skipping(x), network(x)) < TOLERANCE


@pytest.mark.parametrize("module", [asking, kernels])
def test_compiled_files_hang_on_no_other_file_as_their_caches_would_not_see_it(module):
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not [line for line in imports if "pathlens" in line]
