"""What training minimises: the labels, the teacher, and the three losses of the method."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.decoupling.losses import Alignment, MacBudget, MutualInformation, Sparsity
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.path import Path
from pathlens.training.recipe import Losses
from pathlens.training.schedule import mutual_information_weight, sparsity_target


class Objective(nn.Module):
    """Sum of the weighted losses of one step; holds the auxiliary classifiers.

    Args:
        losses: Weights and kinds.
        network: The decoupled network, or the plain one, for which only labels and teacher count.
        classes: Number of classes.
    """

    def __init__(self, losses: Losses, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.losses = losses
        self.auxiliary: MutualInformation | None = None
        self._sparsity: Sparsity | MacBudget | None = None
        if not isinstance(network, DecoupledNetwork):
            return
        if losses.mutual_information:
            self.auxiliary = MutualInformation(
                network.layers, classes, losses.mutual_information_reduction
            )
        self._alignment = Alignment(
            losses.alignment_direction, losses.alignment_reduction, losses.alignment_detach
        )
        self._sparsity = self._sparsity_of(losses, network)

    @staticmethod
    def _sparsity_of(losses: Losses, network: DecoupledNetwork) -> Sparsity | MacBudget:
        if losses.sparsity == "gates":
            return Sparsity()
        return MacBudget(network.cost, floor=losses.sparsity_floor)

    @property
    def needs_responses(self) -> bool:
        """Whether the path must carry pooled responses."""
        return self._sparsity is not None and self.losses.alignment > 0

    def forward(
        self,
        scores: Tensor,
        labels: Tensor,
        path: Path | None,
        teacher: Tensor | None,
        progress: float,
    ) -> dict[str, Tensor]:
        """Return the parts of the loss, weighted, whose sum is to be minimised.

        Args:
            scores: (N, classes), the network's output.
            labels: (N,) integers.
            path: The images' path, or None for a plain network.
            teacher: (N, classes), scores to learn from, or None.
            progress: Share of training that is done.
        """
        parts = {"classification": self._classification(scores, labels, teacher)}
        if path is None or self._sparsity is None:
            return parts
        if self.auxiliary is not None:
            weight = mutual_information_weight(self.losses, progress)
            parts["mutual_information"] = weight * self.auxiliary(path, labels)
        if self.losses.alignment:
            parts["alignment"] = self.losses.alignment * self._alignment(path)
        if self.losses.sparsity_weight:
            target = sparsity_target(self.losses, progress)
            sparsity = replace(self._sparsity, target=target)
            parts["sparsity"] = self.losses.sparsity_weight * sparsity(path)
        return parts

    def _classification(self, scores: Tensor, labels: Tensor, teacher: Tensor | None) -> Tensor:
        loss = F.cross_entropy(scores, labels)
        share, heat = self.losses.distillation, self.losses.distillation_temperature
        if teacher is None or not share:
            return loss
        # Hinton et al., arXiv 1503.02531: the factor T² keeps the gradient's size.
        student = F.log_softmax(scores / heat, dim=1)
        target = F.log_softmax(teacher / heat, dim=1)
        soft = F.kl_div(student, target, reduction="batchmean", log_target=True) * heat**2
        return torch.lerp(loss, soft, share)
