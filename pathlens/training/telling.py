"""What a training tells while it runs: one bar, a line an epoch, and event files for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pathlens.progress import Bar, progress_bar
from pathlens.runs import Run
from pathlens.training import history


class Telling:
    """Tells how one training goes, from the first step to the last.

    Args:
        run: Folder of the event files; a run that has some goes on with them.
        epochs: Epochs of the training.
        steps: Steps of an epoch.
        progress: Whether to show a bar and lines.
        tensorboard: Whether to write event files.
        leads: Whether this is the process that writes; the others write none.
    """

    def __init__(
        self, run: Run, epochs: int, steps: int, *, progress: bool, tensorboard: bool, leads: bool
    ) -> None:
        self.epochs, self.steps, self.progress = epochs, steps, progress
        self._folder, self._wanted, self._leads = run.folder / "tensorboard", tensorboard, leads
        self._bar: Bar[Any] = progress_bar(shown=False)
        self._board: history.TensorBoard | None = None

    @contextmanager
    def from_step(self, done: int, rows: list[dict[str, float]]) -> Iterator[None]:
        """Show the bar and keep the event files open meanwhile.

        Args:
            done: Steps that were done before.
            rows: History of the epochs that were finished before.
        """
        if self._leads and (self._wanted or self._folder.is_dir()):
            self._board = history.TensorBoard(self._folder, rows)
        # One bar for the whole training, so that the time left is that of the whole training.
        with progress_bar(
            total=self.epochs * self.steps,
            initial=done,
            bar_format="{desc} {percentage:3.0f} %|{bar:16}| {elapsed}, {remaining} left{postfix}",
            smoothing=0,  # the mean over all that was done, so that measuring epochs counts
            shown=self.progress,
            leave=False,
            dynamic_ncols=True,
        ) as self._bar:
            yield
        if self._board is not None:
            self._board.close()

    def epoch_begins(self, epoch: int) -> None:
        """Name the epoch, counted from 0, beside the bar."""
        self._bar.set_description_str(f"epoch {epoch + 1}/{self.epochs}", refresh=False)

    def step_is_done(self, means: Mapping[str, float]) -> None:
        """Move the bar and show the means of the epoch so far."""
        self._bar.set_postfix(history.short(dict(means)), refresh=False)
        self._bar.update()

    def epoch_is_done(self, row: dict[str, float]) -> None:
        """Write the epoch's line and events."""
        if self._board is not None:
            self._board.add(row)
        if self.progress:
            Bar.write(history.line(row, self.epochs, self._left()))

    def _left(self) -> float:
        """Seconds that the rest of the training will take."""
        state = self._bar.format_dict
        done = state["n"] - state["initial"]
        left: float = state["elapsed"] / max(1, done) * (state["total"] - state["n"])
        return left
