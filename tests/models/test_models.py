"""Networks by name, and weight files of every common shape."""

import pytest
import torch
from torch import nn

from pathlens.errors import PathLensError
from pathlens.models import CIFAR_MODELS, build_model, default_image_size, load_weights


@pytest.mark.parametrize("name", CIFAR_MODELS)
def test_cifar_forms_give_class_scores_for_any_size(name):
    network = build_model(name, 7, width=0.25).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
        assert network(torch.zeros(1, 3, 48, 48)).shape == (1, 7)


@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (56, 853_018)])
def test_resnets_have_the_published_numbers_of_parameters(depth, parameters):
    network = build_model(f"resnet{depth}", 10)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_vgg_has_thirteen_convolutions_and_googlenet_nine_modules():
    vgg = build_model("cifar_vgg16_bn", 10, 0.25)
    assert sum(isinstance(m, nn.Conv2d) for m in vgg.modules()) == 13
    google = build_model("cifar_googlenet", 10, 0.25)
    assert sum(isinstance(m, nn.Conv2d) for m in google.modules()) == 1 + 9 * 7


def test_torchvision_networks_get_the_classes_and_their_usual_size():
    assert build_model("squeezenet1_1", 5).eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 5)
    assert default_image_size("squeezenet1_1") == 224
    assert default_image_size("inception_v3") == 299
    assert default_image_size("resnet20") == 32


def test_published_resnet20_weights_load(shared_data):
    report = load_weights(build_model("resnet20", 10), shared_data / "weights/resnet20-12fca82f.th")
    assert report.replaced == report.missing == report.unexpected == ()


def test_squeezenets_classifier_is_replaced_for_another_number_of_classes(shared_data):
    network = build_model("squeezenet1_1", 5)
    before = network.classifier[1].weight.clone()
    source = shared_data / "weights/squeezenet1_1_imagenet_from_ncnn_fp16.pth"
    report = load_weights(network, source)
    assert report.replaced == ("classifier.1.weight", "classifier.1.bias")
    assert torch.equal(network.classifier[1].weight, before)
    assert "classifier replaced" in report.describe()


@pytest.fixture
def state():
    torch.manual_seed(3)
    return build_model("small_cnn", 4).state_dict()


@pytest.mark.parametrize(
    "shape",
    [
        lambda s: s,
        lambda s: {"state_dict": s},
        lambda s: {"state_dict": {f"module.{n}": t for n, t in s.items()}, "epoch": 3},
        lambda s: {"format": 1, "weights": s, "training": {"epoch": 1}},
        lambda s: {"weights": {**{f"model.{n}": t for n, t in s.items()}, "gating.a.fc1.weight": torch.ones(1)}},
    ],
)  # fmt: skip
def test_every_common_shape_of_weight_file_loads(tmp_path, state, shape):
    torch.save(shape(state), tmp_path / "w.pt")
    network = build_model("small_cnn", 4)
    load_weights(network, tmp_path / "w.pt")
    assert all(torch.equal(t, state[n]) for n, t in network.state_dict().items())


def test_keys_that_do_not_fit_are_listed(tmp_path, state):
    state["extra.weight"] = torch.ones(2)
    del state["classifier.bias"]
    torch.save(state, tmp_path / "w.pt")
    report = load_weights(build_model("small_cnn", 4), tmp_path / "w.pt")
    assert report.missing == ("classifier.bias",)
    assert report.unexpected == ("extra.weight",)
    assert "extra.weight" in report.describe()


def test_weights_of_another_model_are_refused_with_the_keys(tmp_path):
    torch.save(build_model("resnet20", 4).state_dict(), tmp_path / "w.pt")
    with pytest.raises(PathLensError, match=r"does not fit the network .*conv1\.weight"):
        load_weights(build_model("small_cnn", 4), tmp_path / "w.pt")
    torch.save(build_model("small_cnn", 4, width=2).state_dict(), tmp_path / "w.pt")
    with pytest.raises(PathLensError, match=r"stem\.0\.weight is \(48, 3, 5, 5\), not \(24"):
        load_weights(build_model("small_cnn", 4), tmp_path / "w.pt")


class Pickled:
    """Code in a weight file."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Pickled(), "cannot be read as weights"),
        ({"a": 1}, "holds no weights"),
        ([1], "holds no weights"),
    ],
)
def test_files_that_hold_no_weights_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(PathLensError, match=message):
        load_weights(build_model("small_cnn", 4), tmp_path / "w.pt")


def test_own_models_are_found_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\ndef tiny(classes):\n    return nn.Linear(3, classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert build_model("my_networks:tiny", 6).out_features == 6
