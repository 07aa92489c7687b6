"""Networks cut for good: the same answers, without gating, without PathLens, and as files."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from pathlens.decoupling import TopK, decouple
from pathlens.errors import PathLensError
from pathlens.skipping import cut, skip
from pathlens.skipping.exporting import ENDINGS
from pathlens.skipping.lowering import Lowered

from .comparing import TOLERANCE, Small, apart, drawn, lively, small


def path_of(network, density, seed):
    """A random path with at least one filter on in every layer."""
    path = {name: gates[0] for name, gates in drawn(network, 1, density, seed).items()}
    for gates in path.values():
        gates[seed % len(gates)] = 1
    return path


@pytest.fixture(scope="module")
def made():
    with torch.no_grad():
        network, x = small(images=5)
        path = path_of(network, 0.5, seed=1)
        return cut(network, path, x), network, path, x


@torch.no_grad()
@pytest.mark.parametrize("images", [1, 2, 5])
def test_the_answers_are_those_of_the_masked_network(made, images):
    result, network, path, x = made
    expected = network.with_path(x[:images], force=path)[0]
    assert apart(result.module(x[:images]), expected) < TOLERANCE


def test_the_table_and_the_macs_are_those_of_the_path(made):
    result, network, path, _ = made
    gates = {name: values[None] for name, values in path.items()}
    assert result.macs == int(network.cost.macs(gates)) - network.cost.gating
    assert result.dense_macs == network.cost.dense > result.macs
    for row in result.frame.itertuples():
        on = torch.nonzero(path[row.name]).flatten().tolist()
        assert list(row.numbers) == on
        assert (row.kept, row.share) == (len(on), len(on) / row.filters)
    assert list(result.frame["layer"]) == [layer.index for layer in network.layers]


def test_it_is_a_plain_module_whose_weights_keep_their_names(made):
    result, network, path, _ = made
    assert not any(type(m).__module__.startswith("pathlens") for m in result.module.modules())
    weights = dict(result.module.named_parameters())
    for name in ("stem", "conv1", "conv2", "wide", "narrow", "last", "head"):
        before = network.model.get_submodule(name).weight
        assert f"{name}.weight" in weights
        assert weights[f"{name}.weight"].dim() == before.dim()
    rows = [int(path[name].sum()) for name in ("wide", "narrow", "last")]
    assert weights["last.weight"].shape == (rows[2], rows[0] + rows[1], 3, 3)


def test_the_file_loads_where_pathlens_cannot_be_imported(made, tmp_path):
    result, network, path, x = made
    saved = result.save(tmp_path / "cut.pt2", x)
    assert saved.batches == (1, 5)
    assert saved.error < TOLERANCE
    script = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "pathlens":
            raise ImportError("blocked")
sys.meta_path.insert(0, Blocked())
import torch
module = torch.export.load("cut.pt2").module()
torch.save([module(x) for x in torch.load("x.pt")], "y.pt")
assert not any(name.startswith("pathlens") for name in sys.modules)
"""
    torch.save([x, x[:1]], tmp_path / "x.pt")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)
    for found, images in zip(torch.load(tmp_path / "y.pt"), (x, x[:1]), strict=True):
        with torch.no_grad():
            assert apart(found, network.with_path(images, force=path)[0]) < TOLERANCE
    assert b"pathlens" not in (tmp_path / "cut.pt2").read_bytes()


def test_onnx_gives_the_same_for_every_number_of_images(made, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    result, network, path, x = made
    saved = result.save(tmp_path / "cut.onnx", x[:2])
    assert saved.batches == (1, 2)
    session = runtime.InferenceSession(tmp_path / "cut.onnx", providers=["CPUExecutionProvider"])
    for images in (1, 3, 5):
        found = session.run(None, {"images": x[:images].numpy()})[0]
        with torch.no_grad():
            expected = network.with_path(x[:images], force=path)[0]
        assert apart(torch.from_numpy(found), expected) < TOLERANCE
    assert b"/pathlens/" not in (tmp_path / "cut.onnx").read_bytes()


def test_a_file_with_other_answers_is_not_written(made, tmp_path):
    result, *_, x = made
    other = nn.Sequential(result.module)
    other.register_forward_hook(lambda *given: given[2] * 1.01)
    with pytest.raises(PathLensError, match="is not written"):
        replace(result, module=other).save(tmp_path / "cut.pt2", x)
    assert not list(tmp_path.iterdir())


class Kinds(nn.Module):
    """Every kind of operation that is lowered in its own way."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.first, self.depthwise = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, 2, 1, groups=16)
        self.norm = nn.BatchNorm2d(16)
        self.squeeze, self.excite = nn.Linear(16, 4), nn.Linear(4, 16)
        self.left, self.right = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 12, 1)
        self.grouped = nn.Sequential(nn.Conv2d(20, 16, 1), nn.GroupNorm(4, 16))
        self.after, self.shortcut = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16 * 16, 5)

    def forward(self, x):
        x = nn.functional.hardtanh(self.depthwise(torch.relu(self.first(self.stem(x)))))
        x = torch.relu(self.norm(x))
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3))))))
        a, b = (x * weights[:, :, None, None]).chunk(2, dim=1)
        x = torch.cat([nn.functional.silu(self.left(a)), self.right(b)], dim=1)
        x = torch.relu(self.grouped(x))
        x = torch.relu(self.shortcut(x) + self.after(x))
        return self.head(nn.functional.avg_pool2d(x, 2).flatten(1))


@torch.no_grad()
@pytest.mark.parametrize("density", [0.05, 0.5])
def test_every_kind_of_step_is_lowered_to_the_same_answers(density):
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    network = lively(Kinds(), x)
    skipping = skip(network, x, compiled=False)
    silent = 0
    for seed in range(4):
        path = drawn(network, 1, density, seed)
        silent += sum(not gates.any() for gates in path.values())
        module = Lowered(skipping.static(path, x), x.device)
        for images in (1, 3):
            expected = network.with_path(x[:images], force=path)[0]
            assert apart(module(x[:images]), expected) < TOLERANCE
    assert silent or density > 0.1


def test_what_cannot_be_cut_is_told(made, tmp_path, monkeypatch):
    result, network, path, x = made
    first = network.layers[0].name
    attempts = {
        "says nothing of layer": {first: path[first]},
        "not 0 or 1": {**path, first: path[first] * 0.5},
        f"No filter of layer {first}": {**path, first: path[first] * 0},
    }
    for message, given in attempts.items():
        with pytest.raises(PathLensError, match=message):
            cut(network, given, x)
    with pytest.raises(PathLensError, match=r"\.pt2 or \.onnx"):
        result.save(tmp_path / "cut.pth", x)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PathLensError, match="onnx, onnxscript, onnxruntime"):
        ENDINGS[".onnx"].check()


def test_gates_that_scale_by_image_cannot_be_cut():
    x = torch.randn(1, 3, 24, 24)
    network = decouple(Small().eval(), x, gating=TopK(boost=True)).eval()
    with pytest.raises(PathLensError, match="image by image"):
        cut(network, {"*": 1}, x)
