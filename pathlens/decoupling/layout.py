"""Deciding which convolutions are gated, where their gate acts, and why the others are not."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from pathlens.decoupling.observe import Observation, Op, Value
from pathlens.decoupling.roles import (
    Site,
    activation_after,
    classifier,
    conv_ops,
    projection_shortcuts,
    site_of,
    squeeze_excite,
)
from pathlens.errors import PathLensError, unknown
from pathlens.layers import Layer, LayerTable

Where = str | Iterable[str] | Callable[[str, nn.Conv2d], bool]
"""Names, globs, or a predicate of (name, convolution) that picks the layers to gate."""


@dataclass(frozen=True)
class GatedConv:
    """One convolution that gets a gating module.

    Attributes:
        layer: Number, name and size.
        site: Dotted name of the module whose output the gate multiplies: the norm (BN, group norm,
            layer norm) that alone reads the convolution, or the convolution itself.
        output: That output, as observed.
        dim: Its dimension of channels: 1, or another where a norm works channels last.
        norm_mixes: Whether a norm before the gate takes statistics over several filters, so that a
            filter that is off has to run for the sake of the others.
        activation: Operator that reads the gated output alone ("relu"), or "" where there is none,
            where the norm's module applied it already, or where the output is added to a shortcut
            first.
        activation_args: Further arguments of that operator, such as the bounds of a clamp.
    """

    layer: Layer
    site: str
    output: Value
    dim: int
    norm_mixes: bool
    activation: str
    activation_args: tuple[float, ...] = ()


@dataclass(frozen=True)
class NotGated:
    """A convolution without a gating module, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Layout:
    """What is gated and what is not, from one observed run.

    Attributes:
        gated: The gated convolutions, in running order.
        not_gated: All other `Conv2d` modules, in the order of the network's modules.
        observation: The run that this was read from.
    """

    gated: tuple[GatedConv, ...]
    not_gated: tuple[NotGated, ...]
    observation: Observation

    @property
    def layers(self) -> LayerTable:
        """The gated layers, numbered from 1."""
        return LayerTable(conv.layer for conv in self.gated)


def lay_out(
    model: nn.Module,
    observation: Observation,
    where: Where | None = None,
    *,
    projections: bool = False,
) -> Layout:
    """Choose the convolutions to gate.

    Every `Conv2d` is gated but the first one, grouped ones, the classifier, auxiliary heads,
    squeeze-excite, projection shortcuts (unless asked for) and shared modules; `where` narrows the
    choice.

    Raises:
        PathLensError: If nothing is left to gate, or `where` matches nothing.
    """
    convs = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    }
    runs = conv_ops(observation, convs)
    sites = {name: site_of(name, op, observation) for name, op in runs.items()}
    reasons = _reasons(observation, convs, runs, sites, projections=projections)
    chosen = _chosen(convs, where)
    gated: list[GatedConv] = []
    for name in sorted(runs, key=lambda n: observation.ops.index(runs[n])):
        site = sites[name]
        if site is not None and name not in reasons and name in chosen:
            gated.append(
                _describe(len(gated) + 1, name, convs[name], runs[name], site, observation)
            )
    taken = {conv.layer.name for conv in gated}
    not_gated = tuple(
        NotGated(name, reasons.get(name, "left out by where="))
        for name in convs
        if name not in taken
    )
    if not gated:
        raise _nothing_to_gate(not_gated, where, chosen)
    return Layout(tuple(gated), not_gated, observation)


def _nothing_to_gate(
    not_gated: tuple[NotGated, ...], where: Where | None, chosen: set[str]
) -> PathLensError:
    shown = [entry for entry in not_gated if entry.name in chosen]
    listed = "; ".join(f"{entry.name}: {entry.reason}" for entry in shown[:4])
    if where is not None and not chosen:
        return PathLensError("where= picks no convolution: let it return true for one at least.")
    if where is not None:
        return PathLensError(
            f"where= picks nothing that can be gated ({listed}): name other convolutions."
        )
    return PathLensError(
        "The network has no convolution that can be gated: it needs a second ordinary Conv2d "
        f"beside the first one and the classifier ({listed or 'it has no Conv2d'})."
    )


def _chosen(convs: dict[str, nn.Conv2d], where: Where | None) -> set[str]:
    if where is None:
        return set(convs)
    if callable(where):
        return {name for name, conv in convs.items() if where(name, conv)}
    globs = list(where) if isinstance(where, Iterable) and not isinstance(where, str) else [where]
    if not all(isinstance(glob, str) for glob in globs):
        raise PathLensError(
            f"where={where!r} must be names or globs of convolutions, or a function of "
            "(name, convolution)."
        )
    chosen: set[str] = set()
    for glob in globs:
        matched = {name for name in convs if fnmatch.fnmatchcase(name, glob)}
        if not matched:
            raise unknown("convolution", glob, convs)
        chosen |= matched
    return chosen


def _reasons(
    observation: Observation,
    convs: dict[str, nn.Conv2d],
    runs: dict[str, Op],
    sites: dict[str, Site | None],
    *,
    projections: bool,
) -> dict[str, str]:
    """Why a convolution cannot be gated, by name; the first reason that holds is kept."""
    main = observation.upstream(observation.outputs[:1])
    first = next((op.module for op in observation.ops if op.module in runs), None)
    scores = classifier(observation, convs, runs)
    excite = squeeze_excite(observation)
    shortcuts = set() if projections else projection_shortcuts(observation, convs, runs)
    rules: list[tuple[str, Callable[[str], bool]]] = [
        (
            "not run on the example input in eval mode: an auxiliary head, or unused",
            lambda name: name not in runs,
        ),
        ("shared: the module is called more than once", lambda n: observation.calls[n] > 1),
        ("the first convolution", lambda name: name == first),
        ("an auxiliary head: the main output does not depend on it", lambda n: runs[n] not in main),
        ("grouped or depthwise", lambda name: convs[name].groups > 1),
        ("the classifier: its channels are the class scores", lambda name: name == scores),
        ("inside squeeze-excite: it computes a channel weight", lambda n: runs[n] in excite),
        ("a projection shortcut: part of the residual stream", lambda name: name in shortcuts),
        (
            "its norm is shared or not a module of its own",
            lambda name: sites[name] is None,
        ),
        (
            "its batch is not that of the images, so that it has no gates of an image",
            lambda name: runs[name].outputs[0].shape[0] != observation.images,
        ),
    ]
    found = {}
    for name in convs:
        reason = next((text for text, holds in rules if holds(name)), None)
        if reason is not None:
            found[name] = reason
    return found


def _describe(
    index: int, name: str, conv: nn.Conv2d, op: Op, site: Site, observation: Observation
) -> GatedConv:
    height, width = (*op.outputs[0].shape[2:], 1, 1)[:2]
    weights = conv.kernel_size[0] * conv.kernel_size[1] * conv.in_channels * conv.out_channels
    layer = Layer(
        index=index,
        name=name,
        filters=conv.out_channels,
        in_channels=conv.in_channels,
        output_size=(height, width),
        macs=weights * height * width,
    )
    activation, arguments = activation_after(observation, site)
    return GatedConv(
        layer=layer,
        site=site.module,
        output=site.output,
        dim=site.dim,
        norm_mixes=site.mixes,
        activation=activation,
        activation_args=arguments,
    )
