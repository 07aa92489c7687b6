"""Where the time of one run goes: step by step, dense and skipping."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pathlens.decoupling.passing import Force
from pathlens.skipping.network import SkippingNetwork
from pathlens.skipping.paths import forced_gates
from pathlens.skipping.plan import Plan
from pathlens.skipping.run import Run
from pathlens.skipping.speed.timing import Clock
from pathlens.skipping.steps.base import Step
from pathlens.skipping.steps.convolution import Convolution
from pathlens.skipping.steps.gating import Decide


class _Timed(Step):
    """A step that notes how long it took."""

    def __init__(self, step: Step, clock: Clock, device: torch.device) -> None:
        super().__init__(step.reads, step.writes, step.label)
        self.step, self.clock, self.device = step, clock, device
        self.seconds: list[float] = []

    def __call__(self, run: Run) -> None:
        start = self.clock()
        self.step(run)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds.append(self.clock() - start)


@torch.inference_mode()
def profile(
    network: SkippingNetwork,
    x: Tensor,
    *,
    force: Force | None = None,
    turns: int = 7,
    clock: Clock = time.perf_counter,
) -> pd.DataFrame:
    """Milliseconds of every step for one batch.

    Args:
        network: A skipping network, uncalibrated.
        x: (N, C, H, W).
        force: Gates to use instead of those decided.
        turns: Times that the batch runs in each way, by turns; medians are given.
        clock: Tells the time.

    Returns:
        A row a step, in running order: `step` (the layer or the operator), `kind` ("convolution",
        "gating" or "other", which holds additions and maxima with the means that they make for gating
        modules in passing), `share` (of filters on in any image; NaN for steps without gates),
        `dense_ms` (all filters, multiplied by their gates) and `skipping_ms`. Empty where the
        network runs masked.
    """
    plan = network.plan_for((x,))
    columns = ["step", "kind", "share", "dense_ms", "skipping_ms"]
    if plan is None:
        return pd.DataFrame(columns=columns)
    forced = forced_gates(network.layers, force, len(x), network.device)
    dense, skipping = (timed(plan, clock, network.device) for _ in range(2))
    run = None
    for _ in range(turns + 1):
        dense.execute((x,), forced, dense=True)
        _, run = skipping.execute((x,), forced)
    assert run is not None
    rows = [
        (slow.label, _kind(slow), _share(slow, run), milliseconds(slow), milliseconds(fast))
        for slow, fast in zip(dense.steps, skipping.steps, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns)


def timed(plan: Plan, clock: Clock, device: torch.device) -> Plan:
    """The same plan, whose steps note how long each of their runs took."""
    return replace(plan, steps=[_Timed(step, clock, device) for step in plan.steps])


def milliseconds(step: Step) -> float:
    """Median over the runs of a step of a `timed` plan; the first, which warms up, does not count."""
    assert isinstance(step, _Timed)
    return float(1e3 * np.median(step.seconds[1:]))


def _kind(step: Step) -> str:
    assert isinstance(step, _Timed)
    if isinstance(step.step, Decide):
        return "gating"
    return "convolution" if isinstance(step.step, Convolution) else "other"


def _share(step: Step, run: Run) -> float:
    assert isinstance(step, _Timed)
    inner = step.step
    if not isinstance(inner, Convolution) or inner.layer is None:
        return float("nan")
    gates = torch.as_tensor(run.gates[inner.layer])
    gates = gates.view(-1, gates.shape[-1])
    return float((gates > 0).any(dim=0).float().mean())
