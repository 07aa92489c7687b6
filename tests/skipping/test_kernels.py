"""Compiled loops and packed memory against the plain torch operators and against indexing."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pathlens.skipping.activation import Activation
from pathlens.skipping.blocks import Shape
from pathlens.skipping.channels import Kept, everything, side_by_side
from pathlens.skipping.processor import LAST, Compiled, Processor
from pathlens.skipping.speed.timing import threads
from pathlens.skipping.steps.gating import Layers, Pool
from pathlens.skipping.weights import Filters, PathCache
from pathlens.skipping.windows import Window

COMPILED, PLAIN = Compiled(), Processor(torch.device("cpu"), torch.float32)


def kept(channels, places, seed, holes=0):
    """Some channels in their order, with holes among them."""
    rng = np.random.default_rng(seed)
    index = np.sort(rng.permutation(channels)[: places - holes])
    return Kept(np.insert(index, rng.integers(0, len(index) + 1, holes), channels), channels)


def pictures(channels, seed=0, images=1, size=(5, 7)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, *size, generator=generator).contiguous(memory_format=LAST)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("images", [1, 2])
def test_pool_scatter_and_affine_equal_the_plain_ones(seed, images):
    some = kept(30, 13, seed, holes=3)
    x, base = pictures(13, seed, images, (9, 17)), torch.randn(30)
    torch.testing.assert_close(COMPILED.pool(x, some, base), PLAIN.pool(x, some, base))
    assert torch.equal(COMPILED.scatter(x, some, base), PLAIN.scatter(x, some, base))
    for rectify in (False, True):
        into = pictures(30, seed + 7, images, (9, 17))
        torch.testing.assert_close(
            COMPILED.scatter_add(x, some, into.clone(), rectify=rectify),
            PLAIN.scatter_add(x, some, into.clone(), rectify=rectify),
        )
        scale, shift = torch.randn(31), torch.randn(31)
        torch.testing.assert_close(
            COMPILED.affine(x, some, scale, shift, rectify=rectify),
            PLAIN.affine(x, some, scale, shift, rectify=rectify),
        )


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("size", [(3, 5), (8, 8), (9, 17)])
def test_sums_made_while_adding_are_those_of_the_sum(rectify, size):
    some, x, into = kept(30, 13, 4, holes=3), pictures(13, 1, 1, size), pictures(30, 2, 1, size)
    expected = PLAIN.scatter_add(x, some, into.clone(), rectify=rectify)
    sums = np.full(30, np.nan, dtype=np.float32)
    found = COMPILED.scatter_add_and_sum(x, some, into.clone(), sums, rectify=rectify)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.from_numpy(sums), expected.sum(dim=(0, 2, 3)))


WINDOWS = [
    # kernel, stride, padding, dilation, ceil
    ((3, 3), (2, 2), (0, 0), (1, 1), True),
    ((3, 3), (2, 2), (1, 1), (1, 1), False),
    ((3, 3), (1, 1), (1, 1), (1, 1), False),
    ((2, 4), (1, 3), (1, 2), (1, 1), True),
    ((5, 2), (4, 1), (2, 0), (1, 1), True),
    ((4, 3), (1, 2), (2, 1), (1, 1), True),
]


@pytest.mark.parametrize("images", [0, 1, 3])
@pytest.mark.parametrize("size", [(5, 4), (9, 17), (12, 12), (6, 5)])
@pytest.mark.parametrize("values", WINDOWS)
def test_maxima_are_those_of_torch_and_summed(values, size, images, one_thread):
    x = pictures(19, 2, images, size)
    own = Window(*values)
    assert COMPILED.takes_maxima(x, own)
    sums = np.full(19, np.nan, dtype=np.float32)
    expected = PLAIN.max_pool(x, own)
    for given in (x, x.contiguous(), x.flip(3).flip(3)):
        assert torch.equal(COMPILED.max_pool(given, own), expected)
        assert torch.equal(COMPILED.max_pool_and_sum(given, own, sums), expected)
        torch.testing.assert_close(torch.from_numpy(sums), expected.sum(dim=(0, 2, 3)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_maxima_of_what_is_no_number_are_those_of_torch(bad, one_thread):
    x = pictures(16, size=(9, 9))
    for row in range(0, 9, 4):
        for column in range(0, 9, 3):
            x[0, (row + column) % 4, row, column] = bad
    x[0, 3] = -float("inf")
    for values in WINDOWS:
        own = Window(*values)
        assert COMPILED.takes_maxima(x, own)
        found, expected = COMPILED.max_pool(x, own), PLAIN.max_pool(x, own)
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_maxima_that_the_loop_does_not_take_are_left_to_torch(one_thread):
    x = pictures(20, size=(12, 12))
    assert COMPILED.takes_maxima(x, Window(*WINDOWS[0]))
    for values, given in (
        (((3, 3), (2, 2), (0, 0), (2, 2), False), x),  # dilated
        (((2, 2), (2, 2), (0, 0), (1, 1), False), x),  # each number is read once anyhow
        (((3, 1), (1, 1), (1, 0), (1, 1), False), x),
        (WINDOWS[0], x[:, :7]),  # few channels
        (WINDOWS[0], x.double()),
        (WINDOWS[0], x.bfloat16()),
    ):
        own = Window(*values)
        assert not COMPILED.takes_maxima(given, own)
        found = COMPILED.max_pool(given, own)
        assert found.dtype == given.dtype
        assert torch.equal(found, PLAIN.max_pool(given, own))
    narrow, own = x[:, :, :2], Window(*WINDOWS[0])  # no window fits within
    assert torch.equal(COMPILED.max_pool(narrow, own), PLAIN.max_pool(narrow, own))
    with pytest.raises(RuntimeError, match="too small"):
        COMPILED.max_pool(narrow, replace(own, ceil=False))


def test_several_threads_take_torchs_operator():
    x, own = pictures(20, size=(12, 12)), Window(*WINDOWS[0])
    for count in (1, 2):
        with threads(count):
            assert COMPILED.takes_maxima(x, own) == (count == 1)


@pytest.mark.parametrize("whole", [True, False])
def test_means_of_sums_are_those_of_the_pictures(whole):
    x, absent = pictures(13, 3), torch.randn(30)
    some = everything(13) if whole else kept(30, 13, 4, holes=3)
    absent = absent[:13] if whole else absent
    pool = Pool(COMPILED, 0, 1, None, absent, 35)
    found = pool.of_sums(x.sum(dim=(0, 2, 3)).numpy(), some)
    torch.testing.assert_close(torch.from_numpy(found), PLAIN.pool(x, some, absent))


def layers(channels, units, filters, seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = (channels, units), (units,), (units, filters), (filters,)
    return Layers(*(torch.randn(size, generator=generator) for size in sizes))


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(("channels", "units", "filters"), [(7, 1, 5), (30, 7, 24), (64, 16, 40)])
def test_asking_in_one_call_equals_pooling_and_two_layers(images, channels, units, filters):
    module = layers(channels, units, filters, seed=images)
    some = kept(channels, channels // 2, 5, holes=1)
    x, absent = pictures(channels // 2, 3, images, (9, 17)), torch.randn(channels)
    forced = torch.randint(-1, 2, (images, filters), generator=torch.Generator().manual_seed(1))
    forced = torch.where(forced < 0, float("nan"), forced)
    pooled = PLAIN.pool(x, some, absent)
    expected = module(pooled)
    for given in (torch.zeros(0, 0), forced):
        decided = (
            expected > 0 if not len(given) else torch.where(given.isnan(), expected > 0, given)
        )
        for picture in (x.data_ptr(), 0):
            means = np.zeros((images, channels), np.float32) if picture else pooled.numpy().copy()
            logits, on = (
                np.empty((images, filters), np.float32),
                np.empty((images, filters), np.float32),
            )
            index = np.empty(filters + 4, np.int64)
            count = COMPILED.asking.ask(
                module.table(absent), picture, 9 * 17, some.index, means, given.numpy(), logits, on, index
            )  # fmt: skip
            torch.testing.assert_close(torch.from_numpy(means), pooled)
            torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)
            assert np.array_equal(on, decided.float().numpy())
            assert index[:count].tolist() == np.flatnonzero(on.any(axis=0)).tolist()
            assert (index[count:] == filters).all()


def test_scatter_puts_channels_where_they_belong():
    some, x, base = kept(6, 4, 3, holes=1), pictures(4), torch.arange(6.0)
    expected = base.view(1, 6, 1, 1).expand(1, 6, 5, 7).clone()
    for place, channel in enumerate(some.index):
        if channel < 6:
            expected[:, channel] = x[:, place]
    assert torch.equal(PLAIN.scatter(x, some, base), expected)


def test_pooling_many_pixels_is_exact():
    x = pictures(4, size=(240, 240)).abs_()
    expected = x.double().mean(dim=(2, 3))
    found = COMPILED.pool(x, everything(4), torch.zeros(4))
    assert float((found / expected - 1).abs().max()) < 1e-6


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(
    ("outputs", "inputs"), [(8, 8), (16, 5), (40, 24), (72, 33), (None, 16), (48, None)]
)
def test_a_convolution_with_gathered_weights(kernel, outputs, inputs):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(80, 48, kernel, kernel, generator=generator)
    bias, absent = torch.randn(80, generator=generator), torch.randn(48, generator=generator)
    shape = Shape((1, 1), (0, 0), (1, 1))
    rows = everything(80) if outputs is None else kept(80, outputs, 1, holes=2)
    columns = everything(48) if inputs is None else kept(48, inputs, 2, holes=1)
    x = pictures(columns.places, 3)
    for constants in (None, absent) if kernel == 1 else (None,):
        base = torch.zeros(48) if constants is None else constants
        full = F.conv2d(PLAIN.scatter(x, columns, base) if inputs else x, weights, bias).relu()
        for processor in (COMPILED, PLAIN):
            filters = Filters(
                processor, weights, bias, shape, Activation("relu"), (1, 48, 5, 7), constants
            )
            for ready in (filters.gathered(columns, rows), filters.packed(columns, rows)):
                made = filters.run(x, ready)
                there = torch.from_numpy(rows.filled)
                torch.testing.assert_close(
                    made[:, there], full[:, torch.from_numpy(rows.index[rows.filled])],
                    rtol=1e-4, atol=1e-4,
                )  # fmt: skip


def test_holes_make_zeros():
    filters = Filters(
        COMPILED, torch.randn(20, 8, 3, 3), torch.ones(20), Shape((1, 1), (1, 1), (1, 1)),
        Activation(), (1, 8, 5, 7),
    )  # fmt: skip
    rows = Kept(np.array([3, 20, 7, 20]), 20)
    made = filters.run(pictures(8), filters.gathered(everything(8), rows))
    assert not made[:, [1, 3]].any()
    assert made[:, [0, 2]].any()


def test_packed_memory_is_reused_and_bounded(monkeypatch):
    blocks = Compiled().blocks
    shape = Shape((1, 1), (1, 1), (1, 1))
    first = blocks.find((32, 16, 3, 3), shape, (1, 16, 8, 8))
    if first is None:
        pytest.skip("torch was built without oneDNN, or it packs weights in another order")
    assert blocks.find((32, 16, 3, 3), shape, (1, 16, 8, 8)) is first
    monkeypatch.setattr("pathlens.skipping.blocks._CAPACITY", 100_000)
    for filters in range(16, 128, 16):
        blocks.find((filters, 16, 3, 3), shape, (1, 16, 8, 8))
    assert blocks._held.size <= 100_000
    assert blocks._held.size == sum(b.numbers.nbytes for b in blocks._held.blocks.values())


def test_concatenated_channels_keep_their_numbers_and_holes():
    parts = [Kept(np.array([1, 4, 5]), 5), everything(3), Kept(np.array([2, 0]), 4)]
    joined = side_by_side(parts)
    assert joined.index.tolist() == [1, 4, 12, 5, 6, 7, 10, 8]
    assert joined.channels == 12
    assert side_by_side([everything(2), everything(3)]).whole


def test_the_cache_drops_the_least_recently_used():
    cache = PathCache(100)
    ready = (torch.zeros(10), None)
    for number in range(3):
        cache.put(number, (b"a", b"b"), ready, 40)
        cache.find(0, (b"a", b"b"))
    assert cache.find(0, (b"a", b"b")) is ready
    assert cache.find(1, (b"a", b"b")) is None
    assert cache.size == 80 == 40 * len(cache)
    cache.put(5, (b"", b""), ready, 101)
    assert cache.find(5, (b"", b"")) is None
    assert not cache.wants(9, (b"c", b"d"))
    assert cache.wants(9, (b"c", b"d"))


def test_every_thread_has_packed_memory_of_its_own():
    blocks = Compiled().blocks
    use = (32, 16, 3, 3), Shape((1, 1), (1, 1), (1, 1)), (1, 16, 8, 8)
    found = [blocks.find(*use)]
    if found[0] is None:
        pytest.skip("torch was built without oneDNN, or it packs weights in another order")
    other = threading.Thread(target=lambda: found.append(blocks.find(*use)))
    other.start()
    other.join()
    assert found[0] is not found[1]
    assert blocks.find(*use) is found[0]
