"""The three losses of the method, budgets over all layers, and that of top-k gates: one file each.

total = cross-entropy + λ_mi · L_mi + λ_kl · L_kl + λ_s · L_sparse (METHOD: Li et al., ECCV 2020). They
take the path that `network.with_path(x)` returns and work in any training loop.
"""

from pathlens.decoupling.losses.alignment import Alignment
from pathlens.decoupling.losses.budget import MacBudget
from pathlens.decoupling.losses.filter_budget import FilterBudget
from pathlens.decoupling.losses.mutual_information import MutualInformation
from pathlens.decoupling.losses.saliency import Saliency
from pathlens.decoupling.losses.sparsity import Sparsity

__all__ = [
    "Alignment",
    "FilterBudget",
    "MacBudget",
    "MutualInformation",
    "Saliency",
    "Sparsity",
]
