import numpy as np
import pytest
import torch

from pathlens.attacking.adaptive_gradient import Best, Weights
from pathlens.attacking.directions import orthogonal, unit, weighted, without
from pathlens.attacking.watching import Pull, Verdict


@pytest.mark.parametrize("seed", range(3))
def test_orthogonal_steps_are_orthogonal(seed):
    torch.manual_seed(seed)
    shape = (5, 3, 4, 4)
    network, detector = torch.randn(shape), 50 * torch.randn(shape)
    detector[4] = network[4] + 0.3 * detector[4]
    fooled = torch.tensor([True, False, True, False, True])
    step = orthogonal(Pull(network, detector, fooled, torch.zeros(5)))
    assert torch.allclose(step.flatten(1).norm(dim=1), torch.ones(5), atol=1e-5)
    for i in range(5):
        against, along = (network, -detector) if fooled[i] else (detector, network)
        assert abs((step[i] * unit(against)[i]).sum()) < 1e-5
        assert (step[i] * along[i]).sum() > 0
    assert torch.equal(unit(torch.zeros(shape)), torch.zeros(shape))
    assert torch.allclose(without(network, torch.zeros(shape)), unit(network))


def test_a_weighted_step_heeds_the_detector_only_above_the_threshold():
    torch.manual_seed(0)
    network, detector = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    pull = Pull(network, detector, torch.tensor([True, True]), torch.tensor([1.0, 3.0]))
    step = weighted(pull, torch.tensor([2.0, 2.0]), threshold=2.0)
    assert torch.allclose(step[0], network[0] / network[0].norm())
    expected = network[1] / network[1].norm() - 2 * detector[1] / detector[1].norm()
    assert torch.allclose(step[1], expected, atol=1e-6)


def test_weights_grow_shrink_and_meet():
    weights = Weights(3, 1.0)
    every = np.arange(3)
    weights.learn(every, np.array([True, False, True]))
    assert weights.now.tolist() == [4, 0.25, 4]
    weights.learn(every, np.array([False, True, True]))
    assert weights.now.tolist() == [2, 0.5, 16]
    weights.learn(every[:1], np.array([True]))
    assert weights.now.tolist() == [8**0.5, 0.5, 16]
    none = Weights(2, 0.0)
    none.learn(every[:2], np.array([True, False]))
    assert none.now.tolist() == [0, 0]


def test_the_misclassified_image_with_the_lowest_score_is_kept():
    best = Best(torch.zeros(3, 3, 2, 2, dtype=torch.uint8))
    labels = torch.zeros(3, dtype=torch.int64)
    offers = [  # predicted, score
        ([1, 0, 0], [5.0, 1.0, 9.0]),
        ([1, 1, 0], [4.0, 7.0, 8.0]),
        ([0, 1, 0], [0.0, 8.0, 1.0]),
        ([1, 1, 0], [6.0, 3.0, 7.0]),
    ]
    for number, (predicted, scores) in enumerate(offers, start=1):
        verdict = Verdict(torch.zeros(3, 2), torch.tensor(predicted), np.array(scores))
        pixels = torch.full((3, 3, 2, 2), number, dtype=torch.uint8)
        best.offer(np.arange(3), pixels, verdict, labels)
    assert best.pixels[:, 0, 0, 0].tolist() == [2, 4, 4]
    assert best.flagged(3.5).tolist() == [0, 2]
    assert best.flagged(4.0).tolist() == [2]
