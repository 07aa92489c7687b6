"""From a model's name to the network: CIFAR forms, torchvision's, or the user's own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from pathlens.errors import PathLensError, first_line, unknown
from pathlens.models.cifar_googlenet import CifarGoogLeNet
from pathlens.models.cifar_resnet import CifarResNet
from pathlens.models.cifar_vgg import CifarVGG
from pathlens.models.small_cnn import SmallCNN

CIFAR_MODELS: dict[str, Callable[..., nn.Module]] = {
    **{
        f"resnet{depth}": lambda classes, width=1.0, depth=depth: CifarResNet(depth, classes, width)
        for depth in (20, 32, 44, 56, 110)
    },
    "cifar_vgg16_bn": CifarVGG,
    "cifar_googlenet": CifarGoogLeNet,
    "small_cnn": SmallCNN,
}
"""CIFAR forms by name: functions of the number of classes and the width."""


def build_model(name: str, classes: int, width: float = 1.0) -> nn.Module:
    """Build an untrained network with `classes` class scores.

    Args:
        name: A CIFAR form (`resnet20`, `cifar_vgg16_bn`, ...), a torchvision classification network by
            its name, or `package.module:function`, a function that takes the number of classes.
        classes: Number of classes.
        width: Factor on the numbers of filters, for CIFAR forms only.

    Raises:
        PathLensError: If there is no such network, or it has no width.
    """
    if name in CIFAR_MODELS:
        return CIFAR_MODELS[name](classes, width)
    if width != 1.0:
        raise PathLensError(
            f"--width narrows only the CIFAR forms ({', '.join(CIFAR_MODELS)}), not '{name}'."
        )
    if ":" in name:
        return _own_model(name, classes)
    return _torchvision_model(name, classes)


def default_image_size(name: str) -> int:
    """Height and width in pixels that a network was made for."""
    if name in CIFAR_MODELS:
        return 32
    return 299 if name == "inception_v3" else 224


def _torchvision_model(name: str, classes: int) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise unknown("model", name, [*CIFAR_MODELS, *known])
    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # Published weights expect the input that torchvision transforms for them. The truncated
        # normal start takes many seconds and BN makes it needless; auxiliary heads are not gated.
        extra = {"transform_input": True, "init_weights": False, "aux_logits": False}
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **extra)
    return network


def _own_model(name: str, classes: int) -> nn.Module:
    module_name, _, function_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        # A script run as `pathlens` does not see the folder it is run in.
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's own code may raise anything
        raise PathLensError(
            f"Cannot import '{module_name}' for the model '{name}': {first_line(error)}. "
            "Run from the folder that holds it, or install it."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise PathLensError(f"'{module_name}' has no function '{function_name}'.")
    try:
        network = function(classes)
    except Exception as error:
        raise PathLensError(
            f"'{name}' cannot be called with the number of classes ({classes}): {first_line(error)}."
        ) from error
    if not isinstance(network, nn.Module):
        raise PathLensError(
            f"'{name}' gave a {type(network).__name__}, not a torch.nn.Module; it must be a function "
            "that takes the number of classes and returns the network."
        )
    return network


def is_cifar_form(name: str) -> bool:
    """Whether a network is one of the small-image forms."""
    return name in CIFAR_MODELS
