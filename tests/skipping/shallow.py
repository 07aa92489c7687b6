"""Every family of networks with few blocks of each kind, so that tracing takes little time."""

import torch
import torchvision.models as tv
from decoupling.families import FAMILIES, group_norm, randomise
from torch import nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.mobilenetv3 import _mobilenet_v3_conf
from torchvision.models.regnet import BlockParams
from torchvision.models.resnet import BasicBlock, Bottleneck

from pathlens.decoupling import decouple
from pathlens.models.cifar_resnet import CifarResNet


def mobilenet():
    settings, last = _mobilenet_v3_conf("mobilenet_v3_small")
    return tv.MobileNetV3([settings[i] for i in (0, 1, 2, 3)], last, num_classes=10)


def efficientnet():
    blocks = [(1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 1)]
    settings = [MBConvConfig(*block) for block in blocks]
    return tv.EfficientNet(settings, dropout=0.2, last_channel=320, num_classes=10)


def regnet():
    params = BlockParams([2, 2], [24, 48], [8, 8], [1.0, 1.0], [2, 2], 0.25)
    return tv.RegNet(params, num_classes=10)


def convnext():
    return tv.ConvNeXt([CNBlockConfig(32, 64, 1), CNBlockConfig(64, None, 1)], num_classes=10)


def without(name, *modules):
    """The family's own network, without modules that change no shape."""

    def build():
        model = FAMILIES[name].build()
        for module in modules:
            parent, _, last = module.rpartition(".")
            setattr(model.get_submodule(parent), last, nn.Identity())
        return model

    return build


def first_of_each(name, stacks):
    """The family's own network, of some of its stacks of blocks the first block only."""

    def build():
        model = FAMILIES[name].build()
        parent = model.get_submodule(stacks)
        for number, stack in enumerate(parent):
            if isinstance(stack, nn.Sequential):
                parent[number] = stack[: 2 if number == 0 else 1]
        return model

    return build


def resnet(block, layers, **settings):
    return lambda: tv.ResNet(block, layers, num_classes=10, **settings)


SHALLOW = {
    "googlenet": without("googlenet", "inception4c", "inception5a"),
    "inception_v3": without(
        "inception_v3", "Mixed_5d", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7c"
    ),
    "mnasnet0_5": first_of_each("mnasnet0_5", "layers"),
    "timm mobilenetv2_050": first_of_each("timm mobilenetv2_050", "blocks"),
    "densenet121": lambda: tv.DenseNet(16, (2, 2, 2), 32, num_classes=10),
    "mobilenet_v3_small": mobilenet,
    "efficientnet_b0": efficientnet,
    "regnet_y_400mf": regnet,
    "convnext_tiny": convnext,
    "resnet18": resnet(BasicBlock, [2, 1, 1, 1]),
    "resnet18_group_norm": resnet(BasicBlock, [1, 1, 1, 1], norm_layer=group_norm),
    "resnet50": resnet(Bottleneck, [2, 1, 1, 1]),
    "resnext50_32x4d": resnet(Bottleneck, [2, 1, 1, 1], groups=32, width_per_group=4),
    "resnet20": lambda: CifarResNet(8, 10),
    "shufflenet_v2_x0_5": lambda: tv.ShuffleNetV2([2, 2, 2], [24, 48, 96, 192, 256], 10),
}


class Case:
    """A decoupled network of one family with random weights, and images."""

    def __init__(self, name, images):
        family = FAMILIES[name]
        self.plain = randomise(SHALLOW.get(name, family.build)()).eval()
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(images, 3, family.px, family.px, generator=generator)
        self.network = decouple(self.plain, self.x)
