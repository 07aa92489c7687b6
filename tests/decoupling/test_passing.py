"""What one pass leaves on the path, beside the gates."""

import torch

from pathlens.decoupling import decouple

from .networks import Chain


def test_detached_responses_are_the_same_without_a_gradient():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12, 12)
    network = decouple(Chain(True), x).train()
    with_gradient = network.with_path(x, gates="hard")[1].responses
    detached = network.with_path(x, gates="hard", responses="detached")[1].responses
    assert detached.keys() == with_gradient.keys() == set(network.layers.names)
    for name, response in detached.items():
        assert response.equal(with_gradient[name])
        assert with_gradient[name].requires_grad
        assert not response.requires_grad
