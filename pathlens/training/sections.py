"""The sections of a recipe: optimiser, hash and losses; the gating module has its own settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Optimiser:
    """SGD with momentum and its schedule; shares are of the whole training, rates are peaks.

    Attributes:
        freeze_batch_norm: Whether all BNs keep the statistics they start with. Training in several
            processes then takes the steps that a single one would take.
    """

    lr: float = 0.02
    lr_from_scratch: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "steps"] = "cosine"
    warmup: float = 0.0
    milestones: tuple[float, ...] = ()
    gating_lr: float = 0.1
    gating_weight_decay: float = 0.0
    freeze_batch_norm: bool = False


@dataclass(frozen=True)
class Hash:
    """Variant of the hash and its noise over training; shares are of the whole training.

    Attributes:
        kind: "semantic" hashing as published, or "gumbel" straight-through.
        noise: Factor on the noise: Gaussian for "semantic", logistic for "gumbel".
        noise_until: Until when the noise is whole; then it falls linearly, to 0 at `hard_from`.
        hard_from: From when there is no noise and every gate is binary; 1: never.
        shared_coin: "semantic": one coin per image for all layers, instead of one per layer.
        temperature: "gumbel": softness of the gradient.
    """

    kind: Literal["semantic", "gumbel"] = "semantic"
    noise: float = 1.0
    noise_until: float = 1.0
    hard_from: float = 1.0
    shared_coin: bool = False
    temperature: float = 1.0


@dataclass(frozen=True)
class Losses:
    """Weights and kinds of the losses beside the cross-entropy; shares are of the whole training.

    Attributes:
        mutual_information: Weight of the auxiliary classifiers' loss.
        mutual_information_reduction: Over layers: "sum" or "mean".
        mutual_information_ramp: Between which shares of training the weight grows from 0.
        attribute: What the auxiliary classifiers read (`pathlens.training.attributes`).
        attribute_table: "superclass": table of classes; "concept": concept file, or the data set's own
            concepts if empty. Relative to the recipe's folder.
        attribute_name: "concept": which one; "superclass": column of the table, or all together.
        attribute_buckets: "instance": number of values at most.
        alignment: Weight of the divergence between gates and responses.
        alignment_direction: "response-gates" is KL(softmax(r) || softmax(z)).
        alignment_reduction: "batch", or "element" to divide by the filters as well.
        alignment_detach: Whether responses are constant targets.
        sparsity: Whose share has a target: of gates layer by layer ("gates"), of filters over all
            layers ("filters"), or of multiply-adds ("macs").
        sparsity_weight: Weight of the distance from the target; 0 for top-k gates, which are set to
            it.
        sparsity_target: The share at the end.
        sparsity_lowered_until: When the target is reached, lowered from 1 by a cosine.
        sparsity_floor: "filters", "macs": gate density below which no layer is pushed.
        saliency: Weight of the L1 norm of the saliencies of top-k gates.
        distillation: Weight of the teacher against the labels.
        distillation_temperature: Softness of the teacher's scores.
    """

    mutual_information: float = 0.0
    mutual_information_reduction: Literal["sum", "mean"] = "sum"
    mutual_information_ramp: tuple[float, ...] = (0.0, 0.0)
    attribute: Literal["class", "superclass", "concept", "instance"] = "class"
    attribute_table: str = ""
    attribute_name: str = ""
    attribute_buckets: int = 1024
    alignment: float = 0.0
    alignment_direction: Literal["response-gates", "gates-response"] = "response-gates"
    alignment_reduction: Literal["batch", "element"] = "element"
    alignment_detach: bool = False
    sparsity: Literal["gates", "filters", "macs"] = "gates"
    sparsity_weight: float = 0.0
    sparsity_target: float = 0.5
    sparsity_lowered_until: float = 0.0
    sparsity_floor: float = 0.0
    saliency: float = 0.0
    distillation: float = 0.0
    distillation_temperature: float = 4.0
