"""Semantic hashing: its share, its mixing by sample, its gradient, its silence at inference."""

import math

import pytest
import torch

from pathlens.decoupling.hashing import (
    GumbelHashing,
    SemanticHashing,
    draw_coin,
    gates_from_logits,
    saturating_sigmoid,
    semantic_hash,
)

SEEDS = [0, 1, 2]


def is_binary(gates):
    return ((gates == 0) | (gates == 1)).all(dim=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_the_samples_are_binary(seed):
    torch.manual_seed(seed)
    gates = semantic_hash(torch.zeros(4000, 16), SemanticHashing())
    # Five standard deviations of a fair coin.
    assert abs(is_binary(gates).float().mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_share_of_binary_samples_follows_the_setting(share):
    torch.manual_seed(0)
    gates = semantic_hash(torch.zeros(4000, 16), SemanticHashing(binary_share=share))
    assert abs(is_binary(gates).float().mean() - share) < 0.04


@pytest.mark.parametrize("seed", SEEDS)
def test_all_elements_of_a_sample_agree_on_soft_or_binary(seed):
    torch.manual_seed(seed)
    gates = semantic_hash(torch.zeros(500, 64), SemanticHashing())
    soft = (gates > 0) & (gates < 1)
    # A soft sample at g = 0 has soft elements (|noise| < 2.4) nearly everywhere, a binary one none.
    share = soft.float().mean(dim=1)
    assert ((share == 0) | (share > 0.8)).all()


def test_values_are_the_written_out_formula():
    logits = torch.randn(50, 8, generator=torch.Generator().manual_seed(3))
    for coin, expected in (
        (True, lambda g: 1.0 if g > 0 else 0.0),
        (False, lambda g: min(1.0, max(0.0, 1.2 / (1 + math.exp(-g)) - 0.1))),
    ):
        gates = semantic_hash(logits, SemanticHashing(noise=0), torch.full((50, 1), coin))
        for row, line in zip(gates.tolist(), logits.tolist(), strict=True):
            assert row == pytest.approx([expected(g) for g in line], abs=1e-6)


def test_saturating_sigmoid_is_flat_beyond_ln_11():
    edge = math.log(11)
    logits = torch.tensor([-edge - 0.1, edge + 0.1, edge - 0.1], requires_grad=True)
    saturating_sigmoid(logits).sum().backward()
    assert logits.grad[0] == 0
    assert logits.grad[1] == 0
    assert logits.grad[2] > 0


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_is_that_of_the_soft_vector(binary, seed):
    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(6, 5, dtype=torch.float64)
    coin = torch.full((6, 1), binary)
    torch.manual_seed(seed)
    noise = torch.randn_like(logits)
    torch.manual_seed(seed)
    gates = semantic_hash(logits, SemanticHashing(), coin)
    (gates * weights).sum().backward()

    step, expected = 1e-6, torch.zeros_like(logits)
    for i in range(6):
        for j in range(5):
            g = float(logits[i, j].detach() + noise[i, j])
            soft = [
                min(1.0, max(0.0, 1.2 / (1 + math.exp(-(g + sign * step))) - 0.1))
                for sign in (1, -1)
            ]
            expected[i, j] = weights[i, j] * (soft[0] - soft[1]) / (2 * step)
    torch.testing.assert_close(logits.grad, expected, atol=1e-6, rtol=1e-5)


def test_hard_gates_are_binary_and_without_noise():
    logits = torch.randn(100, 20)
    first = gates_from_logits(logits, "hard", SemanticHashing())
    assert torch.equal(first, gates_from_logits(logits, "hard", SemanticHashing(noise=9)))
    assert torch.equal(first, (logits > 0).float())


def test_straight_through_is_exactly_binary_and_has_the_soft_gradient():
    logits = torch.randn(100, 20, requires_grad=True)
    gates = gates_from_logits(logits, "straight-through", SemanticHashing())
    assert torch.equal(gates.detach(), (logits > 0).float())
    (hard,) = torch.autograd.grad(gates.sum(), logits)
    (soft,) = torch.autograd.grad(saturating_sigmoid(logits).sum(), logits)
    assert torch.equal(hard, soft)


def test_noise_can_be_annealed_away():
    torch.manual_seed(0)
    logits = torch.full((2000, 1), 1.0)
    share = [
        float((semantic_hash(logits, SemanticHashing(noise=n, binary_share=1))).mean())
        for n in (2.0, 1.0, 0.0)
    ]
    normal_above_zero = [0.5 * (1 + math.erf(1 / n / math.sqrt(2))) for n in (2.0, 1.0)]
    assert share[:2] == pytest.approx(normal_above_zero, abs=0.05)
    assert share[2] == 1.0


def test_a_coin_is_one_per_sample():
    assert draw_coin(torch.zeros(7, 3), SemanticHashing()).shape == (7, 1)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="gates must be one of"):
        gates_from_logits(torch.zeros(1, 1), "fuzzy", SemanticHashing())


def sigmoid(g):
    return 1 / (1 + math.exp(-g))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [1.0, 2.5])
def test_a_gumbel_gate_is_on_with_the_probability_of_its_logit(seed, noise):
    torch.manual_seed(seed)
    levels, draws = [-3.0, -0.7, 0.0, 1.2, 4.0], 20_000
    logits = torch.tensor(levels).expand(draws, -1)
    share = gates_from_logits(logits, "hash", GumbelHashing(noise=noise, temperature=0.3)).mean(0)
    for found, g in zip(share.tolist(), levels, strict=True):
        p = sigmoid(g / noise)
        assert abs(found - p) < 5 * math.sqrt(p * (1 - p) / draws)


@pytest.mark.parametrize("seed", SEEDS)
def test_gumbel_gates_are_all_binary_and_independent_of_each_other(seed):
    torch.manual_seed(seed)
    gates = gates_from_logits(torch.zeros(4000, 8), "hash", GumbelHashing())
    assert is_binary(gates).all()
    correlation = torch.corrcoef(gates.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / math.sqrt(4000)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_gumbel_gradient_is_that_of_the_soft_vector_under_the_same_noise(temperature, seed):
    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(6, 5, dtype=torch.float64)
    torch.manual_seed(seed)
    uniform = torch.rand_like(logits)
    torch.manual_seed(seed)
    hashing = GumbelHashing(noise=0.8, temperature=temperature)
    (gates_from_logits(logits, "hash", hashing) * weights).sum().backward()

    step, expected = 1e-6, torch.zeros_like(logits)
    for i in range(6):
        for j in range(5):
            u = float(uniform[i, j])
            g = float(logits[i, j].detach()) + 0.8 * math.log(u / (1 - u))
            soft = [sigmoid((g + sign * step) / temperature) for sign in (1, -1)]
            expected[i, j] = weights[i, j] * (soft[0] - soft[1]) / (2 * step)
    torch.testing.assert_close(logits.grad, expected, atol=1e-6, rtol=1e-5)


def test_gumbel_without_noise_and_at_inference_is_the_sign_of_the_logit():
    logits = torch.randn(100, 20)
    expected = (logits > 0).float()
    for mode in ("hash", "hard", "straight-through"):
        gates = gates_from_logits(logits, mode, GumbelHashing(noise=0, temperature=5))
        assert torch.equal(gates, expected)
    assert torch.equal(gates_from_logits(logits, "hard", GumbelHashing(noise=9)), expected)
    soft = gates_from_logits(torch.tensor([[1.5]]), "soft", GumbelHashing(temperature=3))
    assert soft.item() == pytest.approx(sigmoid(0.5))


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature must be above 0"):
        GumbelHashing(temperature=0)
