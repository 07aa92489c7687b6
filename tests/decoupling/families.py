"""Networks of every family with random weights, and by hand where each of their gates belongs."""

import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
import torchvision.models as tv
from torch import nn
from torch.nn import functional as F
from torchvision.models.inception import InceptionAux

from pathlens.decoupling import decouple
from pathlens.models import build_model

from .networks import ControlFlow

FIRST, SHORTCUT, GROUPED = "the first convolution", "a projection shortcut", "grouped or depthwise"
EXCITE, CLASSIFIER = "inside squeeze-excite", "the classifier"
UNRUN, AUX = "not run on the example input in eval mode", "an auxiliary head: the main output"
SHARED, NO_NORM = "shared", "its norm is shared or not a module"
REASONS = {FIRST, SHORTCUT, GROUPED, EXCITE, CLASSIFIER, UNRUN, AUX, SHARED, NO_NORM}


@dataclass(frozen=True)
class Family:
    """One network.

    `places` are (pattern of conv names, site in the pattern's terms or the reason not to be gated);
    the first pattern that fits the whole name counts.
    """

    build: Callable[[], nn.Module]
    px: int
    places: tuple[tuple[str, str], ...]

    def place(self, conv):
        """Site of the gate of a conv, or the reason (a part of it) that it has none."""
        for pattern, place in self.places:
            match = re.fullmatch(pattern, conv)
            if match:
                if place in REASONS:
                    return None, place
                if place == FOLLOWING:
                    parent, number = conv.rsplit(".", 1)
                    return f"{parent}.{int(number) + 1}", None
                return match.expand(place), None
        raise AssertionError(f"no rule for {conv}")


def torchvision(name, **kwargs):
    """A torchvision network without its slow start and with a narrow head."""

    def build():
        with torch.device("meta"):
            model = tv.get_model(name, num_classes=10, **kwargs)
            if isinstance(getattr(model, "classifier", None), nn.Sequential):
                widest = [m for m in model.classifier if isinstance(m, nn.Linear)]
                if widest and widest[0].in_features > 4096:
                    model.classifier = nn.Sequential(
                        nn.Linear(widest[0].in_features, 16),
                        nn.ReLU(),
                        nn.Dropout(),
                        nn.Linear(16, 10),
                    )
        return model.to_empty(device="cpu")

    return build


def regnet():
    return tv.regnet_y_400mf(num_classes=10)


def timm(name):
    def build():
        library = pytest.importorskip("timm", reason="timm is optional: pip install pathlens[timm]")
        return library.create_model(name, num_classes=10)

    return build


class SmallAux(InceptionAux):
    """Inception's auxiliary head on the size of picture that it gets from 299 px."""

    def forward(self, x):
        return super().forward(F.interpolate(x, size=17))


def inception():
    m = tv.inception
    blocks = [m.BasicConv2d, m.InceptionA, m.InceptionB, m.InceptionC, m.InceptionD, m.InceptionE]
    return torchvision("inception_v3", init_weights=False, inception_blocks=[*blocks, SmallAux])()


def group_norm(channels):
    return nn.GroupNorm(4, channels)


FOLLOWING = "the module after it in its Sequential"
NEXT = (r".*\.\d+", FOLLOWING)
ITSELF = (r".*", r"\g<0>")
RESNET = (
    ("conv1", FIRST),
    (r".*\.downsample\.\d", SHORTCUT),
    (r"(layer.*)\.conv(\d)", r"\1.bn\2"),
)
MOBILE = ((r"features\.0\.0", FIRST), (r".*\.fc[12]", EXCITE))
SHUFFLE = (
    (r"conv1\.0", FIRST),
    (r".*\.branch1\.0", GROUPED),
    (r".*\.branch2\.3", GROUPED),
    NEXT,
)

FAMILIES = {
    "resnet18": Family(torchvision("resnet18"), 48, RESNET),
    "vgg16": Family(torchvision("vgg16"), 32, ((r"features\.0", FIRST), ITSELF)),
    "vgg16_bn": Family(torchvision("vgg16_bn"), 32, ((r"features\.0", FIRST), NEXT)),
    "googlenet": Family(
        torchvision("googlenet", aux_logits=True, init_weights=False),
        48,
        ((r"conv1\.conv", FIRST), (r"aux\d\..*", UNRUN), (r"(.*)\.conv", r"\1.bn")),
    ),
    "inception_v3": Family(
        inception,
        75,
        (
            (r"Conv2d_1a_3x3\.conv", FIRST),
            (r"AuxLogits\..*", UNRUN),
            (r"(.*)\.conv", r"\1.bn"),
        ),
    ),
    "densenet121": Family(
        torchvision("densenet121"),
        32,
        (
            (r"features\.conv0", FIRST),
            (r"(.*)\.conv1", r"\1.norm2"),
            (r".*\.conv2|.*transition\d\.conv", r"\g<0>"),
        ),
    ),
    "mobilenet_v3_small": Family(
        torchvision("mobilenet_v3_small"),
        48,
        (
            *MOBILE,
            (r"features\.1\.block\.0\.0", GROUPED),  # the first block has no expansion
            (r"features\.1\.block\.2\.0", r"features.1.block.2.1"),
            (r"features\.\d+\.block\.1\.0", GROUPED),
            NEXT,
        ),
    ),
    "squeezenet1_1": Family(
        torchvision("squeezenet1_1"),
        48,
        ((r"features\.0", FIRST), (r"classifier\.1", CLASSIFIER), ITSELF),
    ),
    "alexnet": Family(torchvision("alexnet"), 64, ((r"features\.0", FIRST), ITSELF)),
    "resnet50": Family(torchvision("resnet50"), 32, RESNET),
    "resnext50_32x4d": Family(
        torchvision("resnext50_32x4d"), 32, ((r"layer.*\.conv2", GROUPED), *RESNET)
    ),
    "efficientnet_b0": Family(
        torchvision("efficientnet_b0"),
        48,
        (
            *MOBILE,
            (r"features\.1\.0\.block\.0\.0", GROUPED),
            (r"features\.1\.0\.block\.2\.0", r"features.1.0.block.2.1"),
            (r".*\.block\.1\.0", GROUPED),
            NEXT,
        ),
    ),
    "shufflenet_v2_x0_5": Family(torchvision("shufflenet_v2_x0_5"), 64, SHUFFLE),
    "regnet_y_400mf": Family(
        regnet,
        48,
        (
            (r"stem\.0", FIRST),
            (r".*\.proj\.0", SHORTCUT),
            (r".*\.f\.b\.0", GROUPED),
            (r".*\.se\.fc[12]", EXCITE),
            NEXT,
        ),
    ),
    "mnasnet0_5": Family(
        torchvision("mnasnet0_5"),
        48,
        ((r"layers\.0", FIRST), (r"layers\.3|.*\.layers\.3", GROUPED), NEXT),
    ),
    "convnext_tiny": Family(
        torchvision("convnext_tiny"),
        32,
        (
            (r"features\.0\.0", FIRST),
            (r".*\.block\.0", GROUPED),
            (r"features\.[246]\.1", r"\g<0>"),
        ),
    ),
    "resnet18_group_norm": Family(torchvision("resnet18", norm_layer=group_norm), 48, RESNET),
    "resnet20": Family(lambda: build_model("resnet20", 10), 24, RESNET),
    "cifar_vgg16_bn": Family(
        lambda: build_model("cifar_vgg16_bn", 10, width=0.5), 32, ((r"features\.0", FIRST), NEXT)
    ),
    "cifar_googlenet": Family(
        lambda: build_model("cifar_googlenet", 10, width=0.5), 16, ((r"stem\.0", FIRST), NEXT)
    ),
    "small_cnn": Family(lambda: build_model("small_cnn", 10), 32, ((r"stem\.0", FIRST), NEXT)),
    "timm resnet10t": Family(
        timm("resnet10t"),
        64,
        (
            (r"conv1\.0", FIRST),
            (r"conv1\.3", "conv1.4"),
            (r"conv1\.6", "bn1"),
            *RESNET,
        ),
    ),
    "timm mobilenetv2_050": Family(
        timm("mobilenetv2_050"),
        48,
        (
            ("conv_stem", FIRST),
            (r".*\.conv_dw", GROUPED),
            (r"blocks\.0\.0\.conv_pw", "blocks.0.0.bn2"),
            (r"(.*)\.conv_pw", r"\1.bn1"),
            (r"(.*)\.conv_pwl", r"\1.bn3"),
            ("conv_head", "bn2"),
        ),
    ),
    "own module": Family(
        ControlFlow,
        12,
        (
            ("stem", FIRST),
            ("shared", SHARED),
            ("narrow", UNRUN),
            ("aux", AUX),
            ("functional", NO_NORM),
            ("wide", "wide"),
        ),
    ),
}


def randomise(model, seed=0):
    """Random weights under which signals keep their size and no norm is trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            if isinstance(module, nn.Conv2d | nn.Linear):
                spread = (2 / module.weight[0].numel()) ** 0.5
                module.weight.normal_(0, spread, generator=generator)
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                bias.normal_(0, 0.3, generator=generator)
            if isinstance(getattr(module, "running_mean", None), torch.Tensor):
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
            if isinstance(getattr(module, "num_batches_tracked", None), torch.Tensor):
                module.num_batches_tracked.zero_()
    return model


class Case:
    """A network of one family, its decoupled form, and images."""

    def __init__(self, name, images):
        family = FAMILIES[name]
        self.plain = randomise(family.build()).eval()
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(images, 3, family.px, family.px, generator=generator)
        self.network = decouple(self.plain, self.x)
        convs = [n for n, m in self.plain.named_modules() if isinstance(m, nn.Conv2d)]
        places = {name: family.place(name) for name in convs}
        self.sites = {name: site for name, (site, _) in places.items() if site}
        self.reasons = {name: reason for name, (_, reason) in places.items() if reason}

    @contextmanager
    def masks(self, model, gates):
        """The slow reference: hooks on the sites that are known by hand multiply the gates."""

        def mask(values):
            return lambda module, args, output: output * values[:, :, None, None]

        handles = [
            model.get_submodule(site).register_forward_hook(mask(gates[name]))
            for name, site in self.sites.items()
        ]
        yield
        for handle in handles:
            handle.remove()
