"""What a run was asked for: everything that `config.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from pathlens.datasets.loader import View
from pathlens.decoupling.network import decouple
from pathlens.errors import PathLensError
from pathlens.models import build_model
from pathlens.training.recipe import Recipe


@dataclass(frozen=True)
class Config:
    """Settings of one run.

    Attributes:
        model: Name of the network, as `build_model` takes it.
        width: Factor on the numbers of filters of CIFAR forms.
        data: Name or path of the data set.
        data_seed: Seed of the validation split, of `limit`, and of generated images.
        limit: Number of training images kept, or None for all.
        classes: Class names.
        view: How images are resized and cropped.
        weights: Path of the weight file the network started from, or None.
        start_from: Name of the run it started and learnt from, or None.
        plain: Whether the network has no gates.
        recipe: How it is trained.
        epochs: Passes over the training images.
        batch_size: Images a step.
        seed: Seed of weights, order, augmentation and noise.
        precision: "float32", or "bfloat16" for mixed precision in training; measured in float32.
        images: Fingerprint of the training images (ids and labels), so that a resumed run sees the
            same ones.
        unapplied: Whether the gating modules are trained beside the plain network of `start_from`,
            which stays as it is, and never applied.
        compile: Whether training steps run through `torch.compile`.
        attribute: Fingerprint of what the auxiliary classifiers read of the training images, so that
            a resumed run learns the same; "" where they read nothing, and in runs of earlier versions.
    """

    model: str
    width: float
    data: str
    data_seed: int
    limit: int | None
    classes: tuple[str, ...]
    view: View
    weights: str | None
    start_from: str | None
    plain: bool
    recipe: Recipe
    epochs: int
    batch_size: int
    seed: int
    precision: str = "float32"
    images: str = ""
    unapplied: bool = False
    compile: bool = False
    attribute: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        nested = {"view": self.view.to_json(), "recipe": self.recipe.to_json()}
        return {**asdict(self), "classes": list(self.classes), **nested}

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Config:
        """The inverse of `to_json`.

        Raises:
            PathLensError: If a setting is missing.
        """
        try:
            own = {key: entry[key] for key in Config.__dataclass_fields__ if key in entry}
            own["classes"] = tuple(own["classes"])
            own["view"] = View.from_json(own["view"])
            own["recipe"] = Recipe.from_json(own["recipe"])
            return Config(**own)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise PathLensError(
                f"The run's config.json is damaged or of another version ({type(error).__name__}: "
                f"{error}): train again."
            ) from error

    def build(self) -> nn.Module:
        """The plain network with its first weights."""
        return build_model(self.model, len(self.classes), self.width)

    def decouple(self, plain: nn.Module) -> nn.Module:
        """The network that is trained: `plain` itself, or decoupled as the recipe says."""
        if self.plain:
            return plain
        example = torch.zeros(1, 3, self.view.size, self.view.size)
        network = decouple(
            plain, example, projections=self.recipe.projections, gating=self.recipe.gating
        )
        if self.unapplied:
            network.applied = False
            network.model.requires_grad_(False)
        return network
