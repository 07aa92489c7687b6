"""The one loss of top-k gates: a small L1 norm of the saliencies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class Saliency:
    """Σ over layers of the mean over the batch of ||relu(g)||_1, of all filters, on or off.

    Source: Gao et al., arXiv 1810.05331, where its weight is 1e-8. Of use with `top_k.TopK` only.
    """

    def __call__(self, path: Path, mean: BatchMean = over_batch) -> Tensor:
        """Return the loss, a scalar, of a path of top-k gates."""
        norms = [F.relu(path.logits[name]).sum(dim=1) for name in path]
        return mean(torch.stack(norms, dim=1)).sum()
