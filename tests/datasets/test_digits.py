import numpy as np
import pytest
from sklearn.datasets import load_digits as originals

from pathlens.datasets.digits import load_digits


@pytest.mark.parametrize("seed", [0, 5])
def test_every_digit_is_in_one_split_class_by_class(seed):
    pools = load_digits(seed)
    assert len(pools.train) + len(pools.test) == 1797
    assert not set(pools.train.ids) & set(pools.test.ids)
    train, test = np.bincount(pools.train.labels), np.bincount(pools.test.labels)
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.005)


def test_the_seed_decides_the_split():
    assert load_digits(1).test.ids == load_digits(1).test.ids
    assert load_digits(1).test.ids != load_digits(2).test.ids


def test_pixels_and_labels_are_those_of_the_id():
    pools, source = load_digits(0), originals()
    for position in range(40):
        index = int(pools.test.ids[position].split("/")[1])
        assert pools.test.labels[position] == source.target[index]
        pixels = pools.test.read(position)
        assert pixels.shape == (32, 32, 3)
        assert pixels.dtype == np.uint8
        # smooth enlargement: block means are close to the original pixels
        blocks = pixels[..., 0].reshape(8, 4, 8, 4).mean(axis=(1, 3)) * 16 / 255
        assert np.corrcoef(blocks.ravel(), source.images[index].ravel())[0, 1] > 0.97
        assert (pixels == pixels[..., :1]).all()


def test_reading_gives_a_copy():
    split = load_digits().train
    split.read(0)[:] = 7
    assert not (split.read(0) == 7).all()
