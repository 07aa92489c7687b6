"""What the planner knows of ATen's operators."""

from __future__ import annotations

from typing import Any

ACTIVATIONS = {"relu", "hardtanh", "hardswish", "silu"}
"""Those that a convolution takes in; all leave zero alone."""

POINTWISE = {
    "relu", "hardtanh", "hardswish", "silu", "gelu", "leaky_relu", "elu", "hardsigmoid", "sigmoid",
    "tanh", "mish", "softplus", "clamp", "clamp_min", "clamp_max", "abs", "neg", "exp", "sqrt",
    "square", "pow", "erf", "add", "sub", "mul", "div", "clone", "alias", "detach", "contiguous",
    "lift_fresh", "dropout", "native_dropout",
}  # fmt: skip
"""Functions of one value, element by element; "add" and its like with a number."""

SHARING = {
    "clone", "alias", "detach", "contiguous", "lift_fresh", "view", "_unsafe_view", "reshape",
    "_reshape_alias", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "t", "slice", "select",
    "split", "split_with_sizes", "chunk", "unbind", "expand", "as_strided", "getitem", "diagonal",
    "view_as", "expand_as", "narrow", "unfold", "_to_copy", "dropout",
}  # fmt: skip
"""Results may lie in the memory of the input."""

PICTURES = {
    "max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "_adaptive_avg_pool2d",
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_nearest2d", "upsample_bilinear2d",
    "reflection_pad2d", "replication_pad2d",
}  # fmt: skip
"""Functions of pictures that treat every channel alike and make a constant of a constant, but for
average pools that count a border of zeros."""

BATCH_NORMS = {
    "native_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update",
    "cudnn_batch_norm", "miopen_batch_norm", "batch_norm", "_batch_norm_with_update",
}  # fmt: skip

VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_alias", "flatten"}

ANY_LAYOUT = (
    POINTWISE
    | PICTURES
    | {"mean", "sum", "amax", "cat", "convolution", "getitem", "addmm", "mm", "slice"}
    | {"constant_pad_nd"}
)
"""Operators that mean the same whichever way the numbers lie in memory; others get them in order."""


def name_of(target: object) -> str:
    """Name of an ATen operator without overload, or of a Python function."""
    packet = getattr(target, "overloadpacket", target)
    return str(getattr(packet, "__name__", packet))


def is_view(target: Any) -> bool:
    """Whether an operator says that its results lie in the memory of what it reads."""
    schema = getattr(target, "_schema", None)
    return schema is not None and any(made.alias_info is not None for made in schema.returns)
