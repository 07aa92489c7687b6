"""How operations become steps: a rule takes the planner and an operation, and says whether it did."""

from __future__ import annotations

from pathlens.skipping.operators import BATCH_NORMS, PICTURES, POINTWISE, VIEWS
from pathlens.skipping.planning import Rule
from pathlens.skipping.rules.channelwise import mean, normalise, picture, pointwise
from pathlens.skipping.rules.convolution import convolution
from pathlens.skipping.rules.joining import concatenate, join
from pathlens.skipping.rules.linear import linear, view
from pathlens.skipping.rules.observed import observed
from pathlens.skipping.rules.splitting import item, slice_, split

OTHERWISE = observed
"""What takes operations that no rule takes."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(POINTWISE, pointwise),
    **dict.fromkeys(PICTURES, picture),
    **dict.fromkeys(BATCH_NORMS, normalise),
    **dict.fromkeys(VIEWS, view),
    "mean": mean,
    "amax": mean,
    "convolution": convolution,
    "add": join,
    "mul": join,
    "cat": concatenate,
    "addmm": linear,
    "getitem": item,
    "slice": slice_,
    "split": split,
    "split_with_sizes": split,
}
