"""Draws that belong to an image, however the work is divided."""

import numpy as np
import pytest
import torch

from pathlens.datasets.loader import View
from pathlens.training.randomness import ImageDraws, draw, epoch_order, image_seeds

VIEW = View(16, 16, 4)
CANVAS = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (30, 3, 16, 16), np.uint8))


def test_an_image_is_drawn_alike_in_any_batch():
    seeds = image_seeds(30, 3, 1).tolist()
    whole, numbers = draw(CANVAS, VIEW, seeds, 5)
    chosen = [17, 2, 29]
    few, fewer = draw(CANVAS[chosen], VIEW, [seeds[i] for i in chosen], 5)
    assert torch.equal(few, whole[chosen])
    like = torch.zeros(30, 5)
    assert torch.equal(fewer.uniform(like[chosen]), numbers.uniform(like)[chosen])


def test_images_epochs_and_seeds_are_drawn_apart():
    tables = [image_seeds(200, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len(np.unique(np.concatenate(tables))) == 800
    crops, _ = draw(CANVAS[:1].expand(30, -1, -1, -1), VIEW, image_seeds(30, 0, 0).tolist(), 0)
    assert len({crop.numpy().tobytes() for crop in crops}) > 20
    assert epoch_order(20, 0, 0) != epoch_order(20, 0, 1)
    assert sorted(epoch_order(20, 0, 0)) == list(range(20))


def test_layers_get_different_numbers_of_the_right_distributions():
    _, draws = draw(CANVAS, VIEW, image_seeds(30, 0, 0).tolist(), 2_000)
    first, second = draws.normal(torch.zeros(30, 900)), draws.uniform(torch.zeros(30, 900))
    assert first.mean().item() == pytest.approx(0, abs=0.03)
    assert first.std().item() == pytest.approx(1, abs=0.02)
    assert (first.abs() > 1.96).float().mean().item() == pytest.approx(0.05, abs=0.006)
    assert second.mean().item() == pytest.approx(0.5, abs=0.01)
    assert 0 < second.min() < second.max() < 1
    assert np.corrcoef(first.numpy().ravel(), second.numpy().ravel())[0, 1] == pytest.approx(
        0, abs=0.03
    )


def test_noise_stays_finite_at_the_ends():
    ends = ImageDraws(torch.tensor([[0.0, 1.0 - 2**-24, 0.5]]))
    noise = ends.normal(torch.zeros(1, 3))
    assert noise.isfinite().all()
    assert noise[0, 0] < -5 < 5 < noise[0, 1]
