"""The global average and its gradient, against PyTorch's own."""

import pytest
import torch

from pathlens.decoupling.pooling import spatial_mean


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_mean_and_gradient_are_those_of_the_plain_mean(layout, kind):
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 6).to(kind).contiguous(memory_format=layout).requires_grad_()
    wide = torch.float64 if kind == torch.float64 else torch.float32
    weight = torch.randn(3, 4, dtype=wide)
    ours, plain = spatial_mean(x, wide), x.mean(dim=(2, 3), dtype=wide)
    assert torch.equal(ours, plain)
    # The map is read a second time, as by the convolution that follows.
    (found,) = torch.autograd.grad((ours * weight).sum() + (x * x).sum().to(wide), x)
    (expected,) = torch.autograd.grad((plain * weight).sum() + (x * x).sum().to(wide), x)
    torch.testing.assert_close(found, expected)


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: spatial_mean(t, torch.float64), (x,))
    assert torch.autograd.gradgradcheck(lambda t: spatial_mean(t, torch.float64) ** 2, (x,))
