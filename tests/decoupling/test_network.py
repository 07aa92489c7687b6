"""`decouple()`: the gated network against a masked reference, and what it promises to leave alone."""

import copy
import shutil
import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pathlens.decoupling import Gating, SemanticHashing, decouple
from pathlens.errors import PathLensError
from pathlens.models import build_model

from .networks import Chain, ControlFlow, Residual, enliven, random_gates, randomise_norms

X = torch.randn(5, 3, 12, 12, generator=torch.Generator().manual_seed(1))
SMALL = {"with BN": lambda: Chain(True), "without BN": lambda: Chain(False), "residual": Residual}


@pytest.fixture(params=SMALL)
def plain(request):
    torch.manual_seed(0)
    return randomise_norms(SMALL[request.param]()).eval()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_forced_path_equals_the_masked_reference(plain, seed):
    network = decouple(plain, X)
    gates = random_gates(network, len(X), seed)
    output, path = network.with_path(X, force=gates)
    assert torch.equal(output, plain(X, gates))
    assert all(torch.equal(path[name], gates[name]) for name in gates)


def test_the_networks_own_hard_path_equals_the_masked_reference(plain):
    network = enliven(decouple(plain, X))
    output, path = network.with_path(X)
    assert 0.1 < path.density() < 0.9
    assert torch.equal(output, plain(X, dict(path)))
    assert torch.equal(network(X), output)


def test_all_gates_on_gives_the_original_bit_for_bit(plain):
    network = decouple(plain, X)
    assert torch.equal(network.with_path(X, force={"*": 1})[0], plain(X))


def test_restore_gives_the_original_bit_for_bit_and_without_hooks(plain):
    restored = decouple(plain, X).restore()
    assert torch.equal(restored(X), plain(X))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in restored.modules())
    assert list(restored.state_dict()) == list(plain.state_dict())


def test_restore_carries_trained_weights():
    network = decouple(Chain(True), X)
    with torch.no_grad():
        network.model.head.bias.add_(1)
    assert torch.equal(network.restore().head.bias, network.model.head.bias)


def test_the_users_model_is_left_alone(plain):
    before = copy.deepcopy(plain.state_dict())
    training = [m.training for m in plain.modules()]
    network = decouple(plain, X)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())
    assert [m.training for m in plain.modules()] == training
    assert all(not m._forward_hooks for m in plain.modules())


def test_logits_are_the_written_out_gating_module():
    network = decouple(Chain(True).eval(), X)
    _, path = network.with_path(X)
    module = network.gating_module("convs.1")
    inputs = network.model.norms[0](network.model.convs[0](X)).relu().detach()
    for n in range(len(X)):
        s = [float(inputs[n, c].mean()) for c in range(6)]
        hidden = [
            max(0.0, sum(float(w) * v for w, v in zip(row, s, strict=True)) + float(b))
            for row, b in zip(module.fc1.weight.tolist(), module.fc1.bias.tolist(), strict=True)
        ]
        for j in range(8):
            g = sum(
                float(w) * h for w, h in zip(module.fc2.weight[j].tolist(), hidden, strict=True)
            )
            assert path.logits["convs.1"][n, j].item() == pytest.approx(
                g + module.fc2.bias[j].item(), abs=1e-5
            )


def test_released_start_gives_every_image_the_same_gates_about_three_quarters_on():
    torch.manual_seed(0)
    network = decouple(build_model("resnet20", 10), X, gating=Gating(start="released")).eval()
    _, path = network.with_path(X)
    assert all((gates == gates[:1]).all() for gates in path.values())
    assert 0.68 < float(path.density()) < 0.84


def test_open_start_lets_everything_run():
    network = decouple(build_model("resnet20", 10), X, gating=Gating(standardise=True)).eval()
    assert float(network.with_path(X)[1].density()) > 0.99


def test_the_reduction_ratio_and_the_biases_are_options():
    network = decouple(Chain(True), X, gating=Gating(reduction=2, bias=False))
    module = network.gating_module(2)
    assert module.fc1.weight.shape == (4, 8)
    assert module.fc1.bias is None
    assert module.fc2.bias is None


def test_responses_are_the_pooled_ungated_output_after_the_activation_that_follows():
    plain = randomise_norms(Residual()).eval()
    network = decouple(plain, X)
    _, path = network.with_path(X, force={"*": 0})
    x = torch.relu(plain.norm(plain.stem(X)))
    first = plain.bn1(plain.conv1(x))
    torch.testing.assert_close(path.responses["conv1"], first.relu().mean(dim=(2, 3)))
    # conv1 is off, so conv2 sees zeros; its response is taken before the shortcut and before ReLU.
    second = plain.bn2(torch.zeros(5, 6, 6, 6))
    torch.testing.assert_close(path.responses["conv2"], second.mean(dim=(2, 3)))
    assert network.with_path(X, responses=False)[1].responses == {}


def test_responses_carry_a_gradient():
    network = decouple(Chain(False), X)
    _, path = network.with_path(X)
    path.responses["convs.1"].sum().backward()
    assert network.model.convs[1].weight.grad.abs().sum() > 0


def test_train_mode_hashes_and_eval_mode_is_hard():
    network = decouple(Chain(True), X, gating=Gating(opening=0.0)).train()
    torch.manual_seed(0)
    soft = [
        bool(((z > 0) & (z < 1)).any()) for _ in range(5) for z in network.with_path(X)[1].values()
    ]
    assert any(soft)
    network.eval()
    first, second = network.with_path(X)[1], network.with_path(X)[1]
    assert all(((z == 0) | (z == 1)).all() for z in first.values())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gradients_reach_the_gating_modules():
    network = decouple(Chain(True), X).train()
    network.with_path(X, gates="straight-through")[0].sum().backward()
    assert network.gating_module(1).fc2.bias.grad.abs().sum() > 0


def test_nan_leaves_a_gate_to_the_gating_module(plain):
    network = enliven(decouple(plain, X))
    first = network.layers[0]
    free = network.with_path(X)[1][first.name]
    wanted = torch.full((first.filters,), float("nan"))
    wanted[2] = 0
    forced = network.with_path(X, force={1: wanted})[1][first.name]
    assert (forced[:, 2] == 0).all()
    others = [j for j in range(first.filters) if j != 2]
    assert torch.equal(forced[:, others], free[:, others])


def test_forced_gates_may_be_bool_and_later_layers_decide_anew(plain):
    network = enliven(decouple(plain, X))
    first = network.layers[0]
    off = torch.zeros(first.filters, dtype=torch.bool)
    _, path = network.with_path(X, force={first.name: off})
    # All images look alike to the next layer when the first one is silent.
    later = path.logits[network.layers[1].name]
    if not isinstance(plain, Residual) or first.name == "conv1":
        torch.testing.assert_close(later, later[:1].expand_as(later))


def test_forced_gates_of_a_wrong_shape_or_layer_are_refused(plain):
    network = decouple(plain, X)
    with pytest.raises(ValueError, match="forced gates of layer"):
        network.with_path(X, force={1: torch.ones(99)})
    with pytest.raises(PathLensError, match="Unknown layer"):
        network.with_path(X, force={"nothing": 1})


def test_deepcopy_and_state_dict_give_the_same_network(plain):
    network = enliven(decouple(plain, X))
    twin = copy.deepcopy(network)
    other = decouple(plain, X)
    other.load_state_dict(network.state_dict())
    expected = network(X)
    with torch.no_grad():
        network.gating_module(1).fc2.bias.fill_(-9)  # must not reach the copies
    assert torch.equal(twin(X), expected)
    assert torch.equal(other(X), expected)


def test_two_threads_do_not_mix_their_paths(plain):
    network = decouple(plain, X)
    wanted = {i: random_gates(network, 1, i) for i in range(8)}
    found = {}

    def run(i):
        for _ in range(20):
            found[i] = network.with_path(X[:1], force=wanted[i])[0]

    threads = [threading.Thread(target=run, args=(i,)) for i in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in wanted:
        assert torch.equal(found[i], network.with_path(X[:1], force=wanted[i])[0])


def test_shared_coin_mixes_all_layers_of_a_sample_alike():
    torch.manual_seed(0)
    hashing = SemanticHashing(shared_coin=True)
    network = decouple(Chain(True), X, gating=Gating(opening=0.0), hashing=hashing).train()
    x = torch.randn(64, 3, 12, 12)
    _, path = network.with_path(x)
    binary = [((z == 0) | (z == 1)).all(dim=1) for z in path.values()]
    agree = (binary[0] == binary[1]).float().mean()
    assert agree > 0.9


def test_outputs_of_any_structure_come_back():
    network = decouple(ControlFlow().eval(), X)
    assert set(network(X)) == {"scores", "aux"}


def test_what_is_not_gated_is_listed_with_its_reason():
    network = decouple(ControlFlow().eval(), X)
    reasons = {entry.name: entry.reason for entry in network.not_gated}
    assert network.layers.names == ["wide"]
    assert "first" in reasons["stem"]
    assert "shared" in reasons["shared"]
    assert "not run" in reasons["narrow"]
    assert "auxiliary" in reasons["aux"]
    assert "norm" in reasons["functional"]


def test_gating_works_in_half_precision_of_the_model():
    network = decouple(Chain(True).eval().double(), X.double())
    assert network(X.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 2)),
            (1, 3, 12, 12),
            "no conv",
        ),
        (nn.Linear(3, 2), (1, 3), "no Conv2d"),
        (Chain(True), (1, 5, 12, 12), "does not run on an input of shape"),
    ],
)
def test_networks_that_cannot_be_decoupled_say_why(model, shape, message):
    with pytest.raises(PathLensError, match=message):
        decouple(model, torch.zeros(shape))


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(),
        nn.ReLU6(),
        nn.SiLU(),
        nn.Hardswish(),
        nn.GELU(),
        nn.LeakyReLU(0.2),
        nn.ELU(0.5),
        nn.SELU(),
    ],
)
def test_responses_take_any_activation_and_change_nothing(activation):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), activation, nn.Flatten(), nn.LazyLinear(2)
    ).eval()  # fmt: skip
    model(X)
    network = decouple(model, X)
    with_responses, path = network.with_path(X, force={1: 1})
    assert torch.equal(with_responses, model(X))
    expected = model[:4](X).mean(dim=(2, 3))
    torch.testing.assert_close(path.responses["1"], expected)


def test_a_frozen_bn_stays_frozen():
    model = Chain(True).train()
    model.norms[1].eval()
    network = decouple(model, X)
    assert network.training
    assert network.gating.training
    assert not network.model.norms[1].training


def test_a_conv_called_by_keyword_is_gated_too():
    class Keyword(Chain):
        def forward(self, x):
            for conv in self.convs:
                x = conv(input=x).relu()
            return self.head(x.mean(dim=(2, 3)))

    model = Keyword(False).eval()
    network = decouple(model, X)
    assert torch.equal(network.with_path(X, force={"*": 1})[0], model(X))


def test_networks_that_return_no_tensor_say_so():
    class Silent(Chain):
        def forward(self, x):
            super().forward(x)

    with pytest.raises(PathLensError, match="returns a NoneType in which no tensor is found"):
        decouple(Silent(True), X)


def test_a_released_start_needs_biases():
    with pytest.raises(ValueError, match="dead"):
        Gating(start="released", bias=False)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_is_refused_in_one_sentence(reentrant):
    class Checkpointed(Chain):
        def forward(self, x):
            return checkpoint(super().forward, x, use_reentrant=reentrant)

    network = decouple(Checkpointed(True), X).train()
    loss = network(X.clone().requires_grad_()).sum()
    with pytest.raises(PathLensError, match="Activation checkpointing inside a decoupled network"):
        loss.backward()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_gives_the_same_outputs_and_paths():
    model = randomise_norms(Residual()).eval()
    network = enliven(decouple(model, X, "conv1"))
    compiled = torch.compile(network)
    with torch.no_grad():
        torch.testing.assert_close(compiled(X), network(X), rtol=0, atol=1e-5)


def test_a_traced_path_is_the_same():
    # The same graphs without the C++ that the default backend makes of them, which takes its time.
    network = enliven(decouple(randomise_norms(Residual()).eval(), X))
    traced = torch.compile(network.with_path, backend="aot_eager")
    with torch.no_grad():
        for force in (None, random_gates(network, len(X), 3)):
            expected, path = network.with_path(X, force=force)
            output, same = traced(X, force=force)
            torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
            assert list(same) == list(path)
            for name in path:
                assert torch.equal(same[name], path[name])
                torch.testing.assert_close(same.responses[name], path.responses[name])
