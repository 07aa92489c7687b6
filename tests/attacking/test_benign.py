import io

import numpy as np
import pytest
import torch
from PIL import Image

from pathlens.attacking.alteration import Clean
from pathlens.attacking.benign import Corruption, Jpeg, SignNoise
from pathlens.attacking.corruptions import CORRUPTIONS
from pathlens.attacking.rounding import rounded_within_ball


def picture(side=32):
    """A smooth picture with edges, uint8 (side, side, 3)."""
    y, x = np.mgrid[:side, :side] / side
    image = np.stack([x, y, (x > 0.5) * 0.6 + 0.2], axis=2)
    return np.rint(image * 255).astype(np.uint8)


def clean(count=3, seed=0):
    pixels = torch.from_numpy(np.stack([picture()] * count)).permute(0, 3, 1, 2).contiguous()
    return Clean(pixels, torch.zeros(count, dtype=torch.int64), tuple("abcdefgh"[:count]), seed)


@pytest.mark.parametrize("epsilon", [1, 4, 8])
def test_noise_moves_every_value_by_epsilon_either_way(epsilon):
    images = clean()
    change = SignNoise(epsilon / 255).alter(images, None).pixels.short() - images.pixels.short()
    inside = (images.pixels >= epsilon) & (images.pixels <= 255 - epsilon)
    assert (change[inside].abs() == epsilon).all()
    assert abs(float(change[inside].float().mean())) < 0.1 * epsilon
    assert not torch.equal(change[0], change[1])


def test_controls_depend_on_the_image_and_the_seed_only():
    for control in (SignNoise(8 / 255), Corruption("shot-noise", 3)):
        whole = control.alter(clean(4), None).pixels
        shorter = control.alter(clean(2), None).pixels
        assert torch.equal(whole[:2], shorter)
        assert not torch.equal(control.alter(clean(2, seed=1), None).pixels, shorter)


def test_jpeg_is_pillows_jpeg():
    images = clean(1)
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "JPEG", quality=60)
    expected = np.asarray(Image.open(buffer))
    found = Jpeg(60).alter(images, None).pixels[0].permute(1, 2, 0).numpy()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_corruptions_change_more_the_stronger_they_are(name):
    images = clean(1)
    distances = [
        (
            Corruption(name, severity).alter(images, None).pixels.float() - images.pixels.float()
        ).norm()
        for severity in (1, 3, 5)
    ]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_brightness_keeps_the_hue_and_contrast_the_mean():
    grey = np.full((8, 8, 3), (40, 80, 120), np.uint8)
    pixels = torch.from_numpy(grey).permute(2, 0, 1)[None]
    one = Clean(pixels, torch.zeros(1, dtype=torch.int64), ("a",), 0)
    brighter = Corruption("brightness", 3).alter(one, None).pixels[0, :, 0, 0].tolist()
    assert brighter == [round(x * (120 / 255 + 0.15) / (120 / 255)) for x in (40, 80, 120)]
    assert torch.equal(Corruption("contrast", 5).alter(one, None).pixels, pixels)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rounding_into_the_ball_stays_between_inward_and_nearest(seed):
    rng = torch.Generator().manual_seed(seed)
    base = torch.randint(0, 256, (5, 3, 6, 6), generator=rng, dtype=torch.uint8)
    change = torch.randn(base.shape, generator=rng)
    attacked = (base.float() / 255 + change / 255).clamp(0, 1)
    exact = (attacked * 255 - base.float()).flatten(1)
    epsilon = float(exact.norm(dim=1).median()) / 255
    rounded = rounded_within_ball(attacked, base, epsilon).float() - base.float()
    within = exact.norm(dim=1) / 255 <= epsilon
    assert (rounded.flatten(1).norm(dim=1)[within] / 255 <= epsilon + 1e-7).all()
    kept = rounded.flatten(1)
    assert ((kept == exact.round()) | (kept == exact.trunc())).all()
    assert (kept != exact.trunc()).any()
