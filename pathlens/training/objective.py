"""What training minimises: the labels, the teacher, and the three losses of the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.decoupling.losses import (
    Alignment,
    FilterBudget,
    MacBudget,
    MutualInformation,
    Saliency,
    Sparsity,
)
from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.path import Path
from pathlens.training.attributes import AttributeValues
from pathlens.training.schedule import mutual_information_weight, sparsity_target
from pathlens.training.sections import Losses

SPARSITIES: dict[str, Callable[[Losses, DecoupledNetwork], Sparsity | FilterBudget | MacBudget]] = {
    "gates": lambda losses, network: Sparsity(),
    "filters": lambda losses, network: FilterBudget(
        floor=losses.sparsity_floor, least=losses.sparsity_target
    ),
    "macs": lambda losses, network: MacBudget(
        network.cost, floor=losses.sparsity_floor, least=losses.sparsity_target
    ),
}
"""Kinds of sparsity by the name that a recipe gives; their targets follow the schedule.

From the schedule's target down to the final one a budget pulls nothing; see `losses.corridor`."""


class Objective(nn.Module):
    """Sum of the weighted losses of one step; holds the auxiliary classifiers.

    Args:
        losses: Weights and kinds.
        network: The decoupled network, or the plain one, for which only labels and teacher count.
        classes: Number of classes.
        attribute: What the auxiliary classifiers read from the paths of the training images; the
            class if not given.
    """

    attribute: Tensor | None

    def __init__(
        self,
        losses: Losses,
        network: nn.Module,
        classes: int,
        attribute: AttributeValues | None = None,
    ) -> None:
        super().__init__()
        self.losses = losses
        self.auxiliary: MutualInformation | None = None
        self._sparsity: Sparsity | FilterBudget | MacBudget | None = None
        values = None if attribute is None else torch.from_numpy(attribute.values)
        self.register_buffer("attribute", values, persistent=False)
        if not isinstance(network, DecoupledNetwork):
            return
        if losses.mutual_information:
            self.auxiliary = MutualInformation(
                network.layers,
                classes if attribute is None else attribute.count,
                losses.mutual_information_reduction,
            )
        self._alignment = Alignment(
            losses.alignment_direction, losses.alignment_reduction, losses.alignment_detach
        )
        self._sparsity = SPARSITIES[losses.sparsity](losses, network)

    @property
    def needs_responses(self) -> bool | Literal["detached"]:
        """Whether the path must carry pooled responses, and whether they need no gradient."""
        if self._sparsity is None or not self.losses.alignment:
            return False
        return "detached" if self.losses.alignment_detach else True

    def forward(
        self,
        scores: Tensor,
        labels: Tensor,
        path: Path | None,
        teacher: Tensor | None,
        progress: float,
        positions: Tensor | None = None,
        mean: BatchMean = over_batch,
    ) -> dict[str, Tensor]:
        """Return the parts of the loss, weighted, whose sum is to be minimised.

        Args:
            scores: (N, classes), the network's output.
            labels: (N,) integers.
            path: The images' path, or None for a plain network.
            teacher: (N, classes), scores to learn from, or None.
            progress: Share of training that is done.
            positions: (N,), the images' positions among the training images; needed where the
                attribute is not the class.
            mean: How the mean over the batch is taken.
        """
        parts = {"classification": mean(self._classification(scores, labels, teacher))}
        if path is None or self._sparsity is None:
            return parts
        if self.auxiliary is not None:
            weight = mutual_information_weight(self.losses, progress)
            attribute = self._attribute_of(labels, positions)
            parts["mutual_information"] = weight * self.auxiliary(path, attribute, mean)
        if self.losses.alignment:
            parts["alignment"] = self.losses.alignment * self._alignment(path, mean)
        if self.losses.sparsity_weight:
            target = sparsity_target(self.losses, progress)
            sparsity = replace(self._sparsity, target=target)
            parts["sparsity"] = self.losses.sparsity_weight * sparsity(path, mean)
        if self.losses.saliency:
            parts["saliency"] = self.losses.saliency * Saliency()(path, mean)
        return parts

    def _attribute_of(self, labels: Tensor, positions: Tensor | None) -> Tensor:
        if self.attribute is None:
            return labels
        if positions is None:
            raise ValueError("the positions of the images are needed to know their attribute")
        return self.attribute[positions]

    def _classification(self, scores: Tensor, labels: Tensor, teacher: Tensor | None) -> Tensor:
        """The loss of every image, (N,)."""
        loss = F.cross_entropy(scores, labels, reduction="none")
        share, heat = self.losses.distillation, self.losses.distillation_temperature
        if teacher is None or not share:
            return loss
        # Hinton et al., arXiv 1503.02531: the factor T² keeps the gradient's size.
        student = F.log_softmax(scores / heat, dim=1)
        target = F.log_softmax(teacher / heat, dim=1)
        soft = F.kl_div(student, target, reduction="none", log_target=True).sum(dim=1) * heat**2
        return torch.lerp(loss, soft, share)
