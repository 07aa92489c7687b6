"""What every step of a plan has."""

from __future__ import annotations

from pathlens.skipping.run import Run


class Step:
    """One operation of a plan.

    Attributes:
        reads: Slots of the values that it reads.
        writes: Slots of the values that it makes.
        shares: Whether what it makes may lie in the memory of what it reads.
        label: What it is, for profiles: the layer or the operator.
    """

    shares = False

    def __init__(self, reads: tuple[int, ...], writes: tuple[int, ...], label: str) -> None:
        self.reads = reads
        self.writes = writes
        self.label = label

    def __call__(self, run: Run) -> None:
        """Do it."""
        raise NotImplementedError
