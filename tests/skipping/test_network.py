"""The skipping network as a whole: gates, batches, sizes, threads, what it refuses."""

import copy
import pickle
import threading

import pytest
import torch
from decoupling.families import randomise
from decoupling.networks import Chain, enliven, random_gates
from torch import nn
from torch.utils._pytree import tree_leaves

from pathlens.decoupling import Constant, Gating, TopK, decouple, set_density
from pathlens.errors import PathLensError
from pathlens.skipping import skip
from pathlens.skipping.processor import Compiled

from .comparing import TOLERANCE, Small, apart, drawn, lively, same_gates, small


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_own_gates_are_those_of_the_masked_network(seed):
    network, _ = small()
    enliven(network, seed)
    x = torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(seed))
    skipping = skip(network, x)
    for images in (x, x[:1]):
        output, path = skipping.with_path(images)
        expected, masked = network.with_path(images)
        same, near = same_gates(path, masked)
        assert same
        assert 0.1 < float(masked.density()) < 0.9
        for name in masked:
            torch.testing.assert_close(path.logits[name], masked.logits[name], rtol=1e-4, atol=1e-4)
        if not near:
            assert apart(output, expected) < TOLERANCE


@pytest.mark.parametrize(
    "gating",
    [
        Gating(standardise=True), Gating(bias=False), Gating(reduction=2), TopK(boost=True),
        TopK(boost=False), Constant(),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("images", [1, 3])
def test_every_kind_of_gating_module(gating, images):
    x = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    network = decouple(randomise(Small()).eval(), x, gating=gating)
    enliven(network)
    set_density(network, 0.5)
    for module in network.gating.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(2))
            module.running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(3))
    network.eval()
    output, path = skip(network, x).with_path(x[:images])
    expected, masked = network.with_path(x[:images])
    assert same_gates(path, masked)[0]
    assert 0 < float(masked.density()) < 1
    assert apart(output, expected) < TOLERANCE


def test_forced_gates_replace_decided_ones_where_they_are_given():
    network, x = small()
    skipping = skip(network, x)
    layer = network.layers[1]
    some = torch.full((2, layer.filters), float("nan"))
    some[0, :4], some[1, 3:] = 0, 1
    for force in ({layer.name: some}, {2: 0, "*1": 1}, {layer.name: torch.zeros(layer.filters)}):
        output, path = skipping.with_path(x, force=force)
        expected, masked = network.with_path(x, force=force)
        assert same_gates(path, masked)[0]
        assert apart(output, expected) < TOLERANCE
        assert (
            apart(
                skipping.with_path(x[:1], force={2: 0})[0],
                network.with_path(x[:1], force={2: 0})[0],
            )
            < TOLERANCE
        )


def test_soft_forced_gates_multiply():
    network, x = small()
    force = {"*": 0.3}
    output, path = skip(network, x).with_path(x, force=force)
    assert apart(output, network.with_path(x, force=force)[0]) < TOLERANCE
    assert float(path.density()) == pytest.approx(0.3)


def test_other_sizes_of_picture_and_batch():
    network, x = small()
    skipping = skip(network, x)
    for shape in ((1, 3, 24, 24), (5, 3, 24, 24), (2, 3, 32, 20), (3, 3, 32, 20)):
        images = torch.randn(shape, generator=torch.Generator().manual_seed(4))
        gates = drawn(network, shape[0], 0.5, seed=1)
        expected = network.with_path(images, force=gates)[0]
        assert apart(skipping.with_path(images, force=gates)[0], expected) < TOLERANCE


def test_images_are_left_as_they_are():
    network, x = small()
    before = x.clone()
    skip(network, x).with_path(x)
    assert torch.equal(x, before)


def test_the_decoupled_network_is_left_as_it_is():
    network, x = small()
    before = copy.deepcopy(network.state_dict())
    expected = network(x)
    skipping = skip(network.train(), x)
    assert network.training
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    network.eval()
    assert torch.equal(network(x), expected)
    for parameter in network.parameters():
        parameter.zero_()
    assert apart(skipping(x), expected) < TOLERANCE


def test_threads_do_not_meet():
    network, x = small()
    skipping = skip(network, x, cache_bytes=2**20)
    jobs = []
    for seed in range(2):
        gates = [drawn(network, 1, 0.3 + 0.4 * seed, seed=10 * seed + turn) for turn in range(3)]
        expected = [network.with_path(x[:1], force=path)[0] for path in gates]
        jobs.append((gates, expected))
    found = []

    def work(gates, expected):
        for turn in range(30):
            output, path = skipping.with_path(x[:1], force=gates[turn % 3])
            same = all(torch.equal(path[name], gates[turn % 3][name]) for name in path)
            found.append((apart(output, expected[turn % 3]), same))

    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 60
    assert all(same and difference < TOLERANCE for difference, same in found)


def test_frequent_paths_are_cached_within_the_bound():
    network, x = small()
    paths = [drawn(network, 1, 0.5, seed=seed) for seed in range(6)]
    expected = [network.with_path(x[:1], force=path)[0] for path in paths]
    for bound in (0, 20_000, 2**24):
        skipping = skip(network, x, cache_bytes=bound)
        for _ in range(3):
            for path, answer in zip(paths, expected, strict=True):
                assert apart(skipping.with_path(x[:1], force=path)[0], answer) < TOLERANCE
                assert skipping.cache.size <= bound
        assert (len(skipping.cache) > 0) == (bound > 0)


class Constants(nn.Module):
    """A later BN makes constants of silenced channels; kernels with and without borders read them."""

    def __init__(self, kernel, padding):
        super().__init__()
        self.stem, self.gated = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(24)
        self.next = nn.Conv2d(24, 6, kernel, padding=padding)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(self.norm(torch.cat([x, self.gated(x)], dim=1)) + 0.2)
        return self.head(self.next(x).mean(dim=(2, 3)))


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (1, 1), (3, 0), (3, 1)])
def test_constants_of_silenced_channels(kernel, padding):
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    network = lively(Constants(kernel, padding), x)
    skipping = skip(network, x)
    for seed in range(3):
        gates = random_gates(network, 2, seed)
        for images in (1, 2):
            force = {name: values[:images] for name, values in gates.items()}
            expected = network.with_path(x[:images], force=force)[0]
            assert apart(skipping.with_path(x[:images], force=force)[0], expected) < TOLERANCE


class ByBatch(nn.Module):
    """Does something else for batches of three."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.second(torch.relu(self.first(x)))
        x = torch.sigmoid(x) if len(x) == 3 else x
        return self.head(x.mean(dim=(2, 3)))


def test_a_network_that_cannot_be_followed_runs_masked_and_says_so():
    x = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    network = lively(ByBatch(), x)
    skipping = skip(network, x)
    assert [entry.name for entry in skipping.fallbacks] == ["the whole network"]
    assert "number of images" in skipping.fallbacks[0].reason
    for images in (x, x[:1]):
        assert torch.equal(skipping(images), network(images))
    assert torch.equal(
        skipping.with_path(x)[1].concatenate(), network.with_path(x)[1].concatenate()
    )


class Dictionary(nn.Module):
    """Returns more than a tensor."""

    def __init__(self):
        super().__init__()
        self.chain = Chain(True)

    def forward(self, x):
        return {"scores": self.chain(x), "name": "chain", "more": [x.mean(), 3]}


def test_outputs_keep_their_structure():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    network = lively(Dictionary(), x)
    found, expected = skip(network, x)(x), network(x)
    assert found["name"] == "chain"
    assert found["more"][1] == 3
    assert apart(found["scores"], expected["scores"]) < TOLERANCE


def test_double_precision_runs_too():
    network, x = small()
    network, x = network.double(), x.double()
    gates = drawn(network, 2, 0.5, seed=0)
    expected = network.with_path(x, force=gates)[0]
    assert apart(skip(network, x).with_path(x, force=gates)[0], expected) < 1e-12


def test_what_it_cannot_do_it_says():
    network, x = small()
    skipping = skip(network, x)
    for attempt in (
        lambda: copy.deepcopy(skipping),
        lambda: pickle.dumps(skipping),
        lambda: skipping.double(),
        lambda: skipping.train(),
        lambda: skipping.static({1: 1}, x),
        lambda: skipping.with_path(x, force={"nothing": 1}),
    ):
        with pytest.raises(PathLensError):
            attempt()
    with pytest.raises(ValueError, match="conv1"):
        skipping.with_path(x, force={1: torch.zeros(3)})
    network.applied = False
    with pytest.raises(PathLensError, match="not applied"):
        skip(network, x)
    assert skipping.eval() is skipping


def test_a_network_for_another_input_says_what_is_wrong():
    network, x = small()
    with pytest.raises(Exception, match="channels"):
        skip(network, x)(torch.zeros(1, 5, 24, 24))


@pytest.mark.parametrize("mode", ["each", "union", "dense"])
def test_every_way_to_run_a_batch_gives_the_same_answers(mode):
    network, x = small(images=3)
    skipping = skip(network, x)
    gates = drawn(network, 3, 0.5, seed=2)
    for seed, force in ((0, gates), (1, None)):
        skipping.modes = {3: mode}
        output, path = skipping.with_path(x, force=force)
        expected, masked = network.with_path(x, force=force)
        assert same_gates(path, masked)[0]
        assert apart(output, expected) < TOLERANCE, seed
        assert (
            path.logits[network.layers[0].name].shape == masked.logits[network.layers[0].name].shape
        )


def test_calibration_keeps_the_answers_and_chooses_what_was_fastest():
    network, x = small(images=4)
    skipping = skip(network, x)
    found = skipping.calibrate(x, batch_sizes=[2, 4], turns=2)
    assert set(found.modes) == {1, 2, 4} == set(skipping.modes)
    assert set(found.dense_from) == set(network.layers.names)
    for size, mode in found.modes.items():
        least = min(found.seconds[size, other] for other in ("each", "union", "dense"))
        gain = least < 0.9 * found.seconds[size, "dense"]
        assert found.seconds[size, mode] == least if gain else mode == "dense"
    for images in (1, 3, 4):
        gates = drawn(network, images, 0.6, seed=images)
        expected = network.with_path(x[:images], force=gates)[0]
        assert apart(skipping.with_path(x[:images], force=gates)[0], expected) < TOLERANCE
    with pytest.raises(PathLensError, match="as many images"):
        skipping.calibrate(x, batch_sizes=[8])


def test_layers_run_dense_from_their_threshold_on():
    network, x = small(images=1)
    skipping = skip(network, x)
    plan = skipping.plan_for((x,))
    for step in plan.steps:
        if hasattr(step, "dense_from"):
            step.dense_from = 0.4
    for density in (0.2, 0.6):
        gates = drawn(network, 1, density, seed=3)
        expected = network.with_path(x, force=gates)[0]
        assert apart(skipping.with_path(x, force=gates)[0], expected) < TOLERANCE


class ReadAgain(nn.Module):
    """Reads the streams of its additions again later: as it is, through a view, and as an output."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 1)
        self.branches = nn.ModuleList(nn.Conv2d(16, 16, 1) for _ in range(3))
        self.head = nn.Linear(48, 4)

    def forward(self, x):
        first = self.stem(x)
        flat = first.flatten(2)
        second = first + self.branches[0](first)
        third = torch.relu(second + self.branches[1](second))
        fourth = third + self.branches[2](third)
        parts = [flat.mean(dim=2), second.amax(dim=(2, 3)), fourth.mean(dim=(2, 3))]
        return self.head(torch.cat(parts, dim=1)), third


def test_streams_that_are_read_again_are_not_overwritten():
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    network = lively(ReadAgain(), x)
    for compiled in (True, False):
        skipping = skip(network, x, compiled=compiled)
        for density in (0.3, 1.0):
            gates = drawn(network, 1, density, seed=2)
            expected = network.with_path(x, force=gates)[0]
            assert apart(skipping.with_path(x, force=gates)[0], expected) < TOLERANCE


class Pools(nn.Module):
    """Gates that are asked with maxima: of a dense value, of a compact one, of constants in absent places."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 48, 1)
        self.layers = nn.ModuleList(nn.Conv2d(48, 48, 1) for _ in range(3))
        self.norm = nn.BatchNorm2d(48)
        self.head = nn.Linear(48, 4)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.stem(x)), 3, 2, ceil_mode=True)
        x = nn.functional.max_pool2d(self.layers[0](x), 3, 1, 1)
        x = torch.sigmoid(self.layers[1](x))
        x = nn.functional.max_pool2d(self.norm(x), (3, 2), (2, 1), padding=(1, 0))
        return self.head(self.layers[2](x).mean(dim=(2, 3))), x


@pytest.mark.parametrize("images", [1, 2])
def test_gates_are_asked_with_means_that_maxima_make_in_passing(images, monkeypatch, one_thread):
    x = torch.randn(images, 3, 12, 17, generator=torch.Generator().manual_seed(1))
    network = lively(Pools(), x)
    summed = []
    original = Compiled.max_pool_and_sum

    def counting(self, pictures, window, sums):
        summed.append(len(sums) > 0)
        return original(self, pictures, window, sums)

    monkeypatch.setattr(Compiled, "max_pool_and_sum", counting)
    skipping = skip(network, x)
    for seed, density in enumerate((0.0, 0.3, 0.7, 1.0, None)):
        gates = drawn(network, images, 0.0 if density is None else density, seed)
        gates = {} if density is None else gates
        expected, path = network.with_path(x, force=gates)
        summed.clear()
        found, own = skipping.with_path(x, force=gates)
        # Where all filters are off there are few channels, of which torch takes the maxima.
        assert summed == [images == 1] * (1 if density == 0 else 3)
        assert apart(found, expected) < TOLERANCE
        for name in path:
            torch.testing.assert_close(own.logits[name], path.logits[name], rtol=1e-3, atol=1e-4)


class OverImages(nn.Module):
    """Takes maxima over neighbouring images, so that the picture's height is their number."""

    def __init__(self):
        super().__init__()
        self.stem, self.gated = nn.Conv2d(3, 24, 1), nn.Conv2d(24, 24, 1)
        self.last = nn.Conv2d(24, 4, 1)

    def forward(self, x):
        x = self.gated(self.stem(x))
        over = x.mean(dim=3).permute(1, 0, 2)[None]
        over = nn.functional.max_pool2d(over, 3, 1, 1)[0].permute(1, 0, 2)
        return self.last(x) * over[..., None].mean(dim=1, keepdim=True)


def test_maxima_follow_what_they_are_given(one_thread):
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    network = lively(OverImages(), x[:2])
    skipping = skip(network, x[:2])
    for images in (1, 2, 3, 5):
        assert apart(skipping(x[:images]), network(x[:images])) < TOLERANCE
    network = lively(Pools(), x[:1])
    static = skip(network, x[:1]).static({"*": 1.0}, x[:1])
    larger = torch.randn(1, 3, 31, 22, generator=torch.Generator().manual_seed(2))
    for other in (x[:1], larger, larger[:, :, :6, :5]):
        expected = network.with_path(other, force={"*": 1.0})[0]
        assert apart(static(other), expected) < TOLERANCE


@pytest.mark.parametrize("model", [Small, Pools])
def test_a_batch_of_no_images_gives_no_answers(model):
    x = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    network = lively(model(), x)
    found, expected = (tree_leaves(run(x[:0])) for run in (skip(network, x), network))
    assert [value.shape for value in found] == [value.shape for value in expected]
