"""The forms of one network that are timed beside each other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pathlens.decoupling import DecoupledNetwork
from pathlens.decoupling.passing import Force
from pathlens.skipping.network import SkippingNetwork, skip
from pathlens.skipping.paths import forced_gates
from pathlens.skipping.processor import LAST
from pathlens.skipping.static import StaticNetwork

Call = Callable[[], object]

DENSE, DENSE_LAST, MASKED = "dense", "dense, channels last", "masked"
DENSE_PACKED = "dense, packed"
SKIPPING, CALIBRATED = "skipping", "skipping, calibrated"
CUT, PACKED = "cut", "cut, packed"

FORMS = {
    DENSE: "the plain network, BN folded",
    DENSE_LAST: "the same, channels last",
    DENSE_PACKED: "the same with the operators that skipping uses: what is owed to them, not to paths",
    MASKED: "the decoupled network",
    SKIPPING: "only the filters on, as planned",
    CALIBRATED: "the same, calibrated on this machine",
    CUT: "statically cut to the same path, plain operators: the limit",
    PACKED: "the same with the operators that skipping uses: the second, higher limit",
}


class Forms:
    """One network in all its forms.

    Args:
        network: The decoupled network, in eval mode; left as it was.
        example: One image at least, of the size to run.

    Attributes:
        skipping: Without calibration and without cache, because every image is new.
        calibrated: The same, to be calibrated.
        whole: With all filters on, gates not asked; None where the graph cannot be followed.
        folded: Whether BN could be folded into the dense network.
    """

    def __init__(self, network: DecoupledNetwork, example: Tensor) -> None:
        self.network = network
        self.dense, self.folded = _dense(network)
        self.last = copy.deepcopy(self.dense).to(memory_format=LAST)
        self.skipping = skip(network, example, cache_bytes=0)
        self.calibrated = skip(network, example, cache_bytes=0)
        self.plain = skip(network, example, cache_bytes=0, compiled=False)
        self.followed = self.skipping.plan_for((example,)) is not None
        self.whole: StaticNetwork | None = None
        if self.followed:
            self.whole = self.skipping.static(dict.fromkeys(network.layers.names, 1), example)

    @torch.inference_mode()
    def calls(self, x: Tensor, force: Force | None = None) -> dict[str, Call]:
        """What runs each form on a batch.

        A batch is cut to the filters that any of its images has on.

        Args:
            x: (N, C, H, W).
            force: Gates to use instead of those decided, as `with_path` takes them.
        """
        last = x.contiguous(memory_format=LAST)
        found: dict[str, Call] = {
            DENSE: _inference(self.dense, x),
            DENSE_LAST: _inference(self.last, last),
        }
        if self.whole is not None:
            found[DENSE_PACKED] = _static(self.whole, x)
        found |= {
            MASKED: _masked(self.network, x, force),
            SKIPPING: _skipping(self.skipping, x, force),
            CALIBRATED: _skipping(self.calibrated, x, force),
        }
        if self.followed:
            _, path = self.skipping.with_path(x, force=force)
            union: dict[int | str, Any] = {name: g.amax(dim=0) for name, g in path.items()}
            for name, network in ((CUT, self.plain), (PACKED, self.skipping)):
                found[name] = _cut(network, union, x)
        return found


def _dense(network: DecoupledNetwork) -> tuple[nn.Module, bool]:
    """The plain network, BN folded where its graph can be followed, and whether it could."""
    from torch.fx.experimental.optimization import fuse

    plain = copy.deepcopy(network).restore().eval()
    try:
        return fuse(plain).eval(), True
    except Exception:  # whatever symbolic tracing meets in the user's code
        return plain, False


def _inference(module: nn.Module, x: Tensor) -> Call:
    def run() -> Any:
        with torch.inference_mode():
            return module(x)

    return run


def _masked(network: DecoupledNetwork, x: Tensor, force: Force | None) -> Call:
    def run() -> Any:
        with torch.inference_mode():
            return network.with_path(x, force=force, responses=False)

    return run


def _skipping(network: SkippingNetwork, x: Tensor, force: Force | None) -> Call:
    if not force:
        return lambda: network(x)
    # Reading forced gates would be timed too, which a network that decides its own has not to do.
    forced = forced_gates(network.layers, force, len(x), network.device)
    return lambda: network.run_in_mode((x,), network.mode_for(len(x)), forced)


def _cut(network: SkippingNetwork, path: Force, x: Tensor) -> Call:
    return _static(network.static(path, x), x)


def _static(network: StaticNetwork, x: Tensor) -> Call:
    return lambda: network(x)
