"""Maps and their IoU against loops over pixels, planted truth and pure chance."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from pathlens.probing.combination_maps import MapBench, Unit, combination_maps, fit, iou_table
from pathlens.probing.map_thresholds import QUANTILES, lower_edge
from pathlens.probing.mask_views import DATASET, MaskedImages, open_masks
from pathlens.probing.response_maps import response_maps

from .masked import SIDE, VIEW, colour_network, pictures, split_of

RED, GREEN, BLUE = (Unit("seen", (i,)) for i in range(3))
BOTH = Unit("seen", (0, 1))
CONCEPTS = ("both", "green", "red")


def bench_of(images, masks, concepts=CONCEPTS, off=()):
    split = split_of(images, masks)
    masked = MaskedImages(split, VIEW, open_masks(DATASET, split), concepts)
    return MapBench(colour_network(off), masked, "cpu", False)


def halves(count):
    return np.arange(0, count, 2), np.arange(1, count, 2)


def table_of(fits, pairs, images, seed=0, resamples=200, blocks=None):
    about = pd.DataFrame({"row": range(len(pairs))})
    blocks = np.arange(images) if blocks is None else blocks
    return iou_table(fits, about, pairs, blocks, resamples=resamples, seed=seed)


def test_maps_are_the_least_of_the_enlarged_maps_of_their_filters():
    network = colour_network()
    x = torch.randn(3, 3, 5, 7)
    units = [BOTH, Unit("seen", (0, 1, 2)), BLUE]
    found = dict(combination_maps(network, x, units, (10, 21)))
    single = response_maps(network, x, {"seen": [0, 1, 2]}, size=(10, 21))
    assert list(found) == units
    for unit, maps in found.items():
        each = [single["seen", i] for i in unit.filters]
        np.testing.assert_allclose(maps, np.minimum.reduce(each), atol=1e-6)
    # The least of enlarged maps is not the enlarged least.
    least = response_maps(network, x, {"seen": [0, 1]})
    least = np.minimum(least["seen", 0], least["seen", 1])
    enlarged = F.interpolate(torch.from_numpy(least)[:, None], (10, 21), mode="bilinear")[:, 0]
    assert np.abs(enlarged.numpy() - found[BOTH]).max() > 1e-3


def test_a_combination_with_a_gate_off_responds_nowhere():
    found = dict(
        combination_maps(colour_network(off=[1]), torch.ones(2, 3, 4, 4), [BOTH, RED], (4, 4))
    )
    assert not found[BOTH].any()
    assert found[RED].all()


def slow_row(bench, unit, rival, concept, discovery, confirmation):
    """Threshold, IoU and shares of both units by loops over pixels."""

    def pixels(rows, wanted):
        values, has = [], []
        for batch in bench.images.batches(rows, 3):
            maps = dict(combination_maps(bench.network, batch.x, [wanted], (SIDE, SIDE)))[wanted]
            # One colour of two filters differs in its last digit, which no bin tells apart.
            values += maps.ravel().round(3).tolist()
            has += batch.concepts[:, concept].ravel().tolist()
        return values, has

    def score(values, has, edge):
        both = either = 0
        for value, here in zip(values, has, strict=True):
            both += value >= edge and here
            either += value >= edge or here
        return both / either if either else float("nan")

    found = {}
    for name, wanted in (("own", unit), ("rival", rival)):
        values, has = pixels(discovery, wanted)
        edges = [x + 5e-4 for x in sorted(set(values))]  # one just above each value
        counts = {edge: sum(x >= edge for x in values) for edge in edges}
        best = (-1.0, None, None)
        for share in QUANTILES:
            apart = {edge: abs(counts[edge] - share * len(values)) for edge in edges}
            edge = min(edges, key=lambda e: (apart[e], counts[e]))
            best = max(best, (score(values, has, edge), share, edge), key=lambda x: x[0])
        values, has = pixels(confirmation, wanted)
        on = sum(x >= best[2] for x in values) / len(values)
        found[name] = best[1], score(values, has, best[2]), on, sum(has) / len(has)
    return found


@pytest.mark.parametrize("concept", range(3))
def test_the_measure_is_that_of_loops_over_pixels(concept):
    rng = np.random.default_rng(concept)
    images, masks = pictures(10, seed=concept)
    # Colours of five strengths: quantiles fall between values that are far apart.
    images = (images * rng.choice([0.2, 0.4, 0.6, 0.8, 1.0], size=images.shape)).astype(np.uint8)
    bench = bench_of(images, masks)
    discovery, confirmation = halves(10)
    own, rival = (BOTH, concept), (RED, concept)
    fits = fit(bench, [own, rival], discovery, confirmation)
    row = table_of(fits, [(own, rival)], len(confirmation)).iloc[0]
    slow = slow_row(bench, BOTH, RED, concept, discovery, confirmation)
    assert row["quantile"] == slow["own"][0]
    assert row["quantile_best_single"] == slow["rival"][0]
    assert row["iou"] == pytest.approx(slow["own"][1], abs=1e-12)
    assert row["iou_best_single"] == pytest.approx(slow["rival"][1], abs=1e-12)
    assert row["iou_gain"] == pytest.approx(slow["own"][1] - slow["rival"][1], abs=1e-12)
    on, has = slow["own"][2:]
    assert row["share_on"] == pytest.approx(on)
    assert row["share_concept"] == pytest.approx(has)
    assert row["iou_ceiling"] == pytest.approx(min(on, has) / max(on, has))
    assert row["iou_ceiling_fixed"] == pytest.approx(min(0.005, has) / max(0.005, has))
    assert 0 < row["iou"] <= row["iou_ceiling"] + 1e-12


def planted(count, share, seed=0):
    """Pictures of which this share of pixels is red and green at once; nothing else is either."""
    rng = np.random.default_rng(seed)
    concept = rng.random((count, SIDE, SIDE)) < share
    images = np.stack([concept, concept, rng.random(concept.shape)], axis=-1) * 255
    return images.astype(np.uint8), [{"thing": mask} for mask in concept]


@pytest.mark.parametrize("seed", range(3))
def test_a_filter_that_is_the_mask_fits_it(seed):
    images, masks = planted(12, 0.048, seed)
    bench = bench_of(images, masks, ("thing",))
    fits = fit(bench, [(RED, 0), (BLUE, 0)], *halves(12))
    row = table_of(fits, [((RED, 0), (BLUE, 0))], 6).iloc[0]
    assert row["iou"] == row["iou_ceiling"] == 1
    assert row["iou_ci_low"] == row["iou_ci_high"] == 1
    assert row["iou_best_single"] < 0.1
    assert row["iou_gain_ci_low"] > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_where_both_respond_can_fit_better_than_where_either_does(seed):
    images, masks = pictures(40, seed)
    bench = bench_of(images, masks)
    pairs = [((BOTH, 0), (RED, 0)), ((BOTH, 0), (GREEN, 0))]
    fits = fit(bench, [(BOTH, 0), (RED, 0), (GREEN, 0)], *halves(40))
    rows = table_of(fits, pairs, 20)
    assert (rows["iou"] > rows["iou_best_single"]).all()
    assert rows["iou"].min() > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_masks_by_chance_are_fitted_no_better_than_chance(seed):
    rng = np.random.default_rng(seed)
    images, _ = pictures(20, seed)
    masks = [{"thing": rng.random((SIDE, SIDE)) < 0.2} for _ in images]
    bench = bench_of(images, masks, ("thing",))
    fits = fit(bench, [(BLUE, 0), (BOTH, 0)], *halves(20))
    row = table_of(fits, [((BLUE, 0), (BOTH, 0))], 10).iloc[0]
    on, has = row["share_on"], row["share_concept"]
    chance = on * has / (on + has - on * has)
    assert row["iou"] == pytest.approx(chance, abs=0.03)


def left_half_of(bench):
    """The same with masks of which only the left half is labelled."""
    left = np.arange(SIDE) < SIDE // 2

    class Halved:
        names, has = bench.images.source.names, bench.images.source.has

        @staticmethod
        def planes(*asked):
            return bench.images.source.planes(*asked) & left

    halved = MaskedImages(bench.images.images, VIEW, Halved, bench.images.concepts)
    return MapBench(bench.network, halved, "cpu", False)


def test_unlabelled_pixels_do_not_choose_the_quantile():
    images = np.zeros((12, SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[:5, 0] = True
    images[:, :5, 0, 0] = 100  # 2 % of the picture, all of the concept
    images[:, :3, 0, 0] = 200  # the half of it that stands out
    images[:, :, 13:, 0] = 100  # a fifth of the picture, whatever it is
    bench = bench_of(images, [{"thing": mask}] * 12, ("thing",))
    assert fit(left_half_of(bench), [(RED, 0)], *halves(12)).of[RED, 0].quantile == 0.2
    assert fit(bench, [(RED, 0)], *halves(12)).of[RED, 0].quantile == 0.01


def test_unlabelled_pixels_are_neither_on_nor_off():
    images, masks = planted(12, 0.045)
    bench = bench_of(images, masks, ("thing",))
    whole = fit(bench, [(RED, 0)], *halves(12))
    part = fit(left_half_of(bench), [(RED, 0)], *halves(12))
    assert part.labelled.tolist() == [SIDE * SIDE // 2] * 6
    assert 0 < part.has.sum() < whole.has.sum()
    row = table_of(part, [((RED, 0), (RED, 0))], 6).iloc[0]
    assert row["iou"] == 1  # what it is on for on the right would lower it


def test_thresholds_do_not_look_at_confirmation_images():
    images, masks = pictures(20)
    discovery, confirmation = halves(20)
    pairs = [(BLUE, 0), (BLUE, 2)]
    before = fit(bench_of(images, masks), pairs, discovery, confirmation)
    images[confirmation] //= 3
    after = fit(bench_of(images, masks), pairs, discovery, confirmation)
    for pair in pairs:
        assert before.of[pair].threshold == after.of[pair].threshold
        assert before.of[pair].quantile == after.of[pair].quantile
        assert before.of[pair].on.sum() > after.of[pair].on.sum()


def test_a_threshold_is_a_response_and_nothing_is_on_below_it():
    images, masks = pictures(20)
    fits = fit(bench_of(images, masks), [(BLUE, 0)], *halves(20))
    found = fits.of[BLUE, 0]
    values = np.concatenate([images[i, :, :, 2].ravel() for i in halves(20)[1]]) / 255
    assert found.on.sum() == pytest.approx((values >= lower_edge(found.threshold)).sum(), abs=5)


def test_intervals_hold_the_value_and_repeat():
    images, masks = pictures(60)
    images[..., :2] = images[..., :2] // 2 + images[..., 2:] // 2
    fits = fit(bench_of(images, masks), [(BOTH, 0), (RED, 0)], *halves(60))
    pair = [((BOTH, 0), (RED, 0))]
    one, again, other = (table_of(fits, pair, 30, seed).iloc[0] for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)
    for name in ("iou", "iou_best_single", "iou_gain"):
        assert one[f"{name}_ci_low"] < one[name] < one[f"{name}_ci_high"]
        assert one[f"{name}_ci_high"] - one[f"{name}_ci_low"] < 0.3


def test_groups_are_drawn_whole():
    images, masks = pictures(40)
    discovery, confirmation = halves(40)
    images[confirmation[:10]] = 0  # the first group: nothing responds
    fits = fit(bench_of(images, masks), [(BOTH, 0), (RED, 0)], discovery, confirmation)
    pair = [((BOTH, 0), (RED, 0))]
    groups = np.repeat([0, 1], 10)
    alone, grouped = (
        table_of(fits, pair, 20).iloc[0],
        table_of(fits, pair, 20, blocks=groups).iloc[0],
    )
    wide, narrow = (row["iou_ci_high"] - row["iou_ci_low"] for row in (grouped, alone))
    assert wide > 2 * narrow > 0
    single = table_of(fits, pair, 20, blocks=np.zeros(20, dtype=np.int64)).iloc[0]
    assert np.isnan(single["iou_ci_low"])
    assert single["iou"] == alone["iou"]
