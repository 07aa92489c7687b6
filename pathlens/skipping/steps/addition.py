"""Additions: a compact branch is added to the shortcut where its channels belong."""

from __future__ import annotations

from pathlens.skipping.processor import Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step


class Addition(Step):
    """stream + branch, then ReLU if it follows.

    Args:
        processor: Computes.
        stream: Slot of the dense summand.
        branch: Slot of the other.
        target: Slot of the sum.
        kept: Number of the branch's `Kept`; None where it is dense too.
        rectify: Whether a ReLU follows.

    Attributes:
        in_place: Whether the stream is read by nothing later, so that its memory takes the sum.
    """

    def __init__(
        self,
        processor: Processor,
        stream: int,
        branch: int,
        target: int,
        kept: int | None,
        *,
        rectify: bool,
    ) -> None:
        super().__init__((stream, branch), (target,), "add")
        self.processor, self.stream, self.branch = processor, stream, branch
        self.target, self.kept, self.rectify = target, kept, rectify
        self.in_place = False

    def __call__(self, run: Run) -> None:
        """Add."""
        stream, branch = run.values[self.stream], run.values[self.branch]
        kept = None if self.kept is None else run.kept_at(self.kept)
        if kept is None or kept.whole:
            made = stream.add_(branch) if self.in_place else stream + branch
            run.values[self.target] = made.relu_() if self.rectify else made
            return
        if not self.in_place:
            stream = stream.clone()
        run.values[self.target] = self.processor.scatter_add(
            branch, kept, stream, rectify=self.rectify
        )
