"""The models room: CIFAR networks, torchvision names, the user's own, and weight files."""

from pathlens.models.registry import (
    CIFAR_MODELS,
    build_model,
    default_image_size,
    is_cifar_form,
)
from pathlens.models.weights import WeightReport, load_weights, read_weights

__all__ = [
    "CIFAR_MODELS",
    "WeightReport",
    "build_model",
    "default_image_size",
    "is_cifar_form",
    "load_weights",
    "read_weights",
]
