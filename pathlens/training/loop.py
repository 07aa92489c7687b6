"""The training loop: reads top to bottom, saves after every epoch, and stops cleanly on Ctrl-C."""

from __future__ import annotations

import csv
import io
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from pathlens.datasets.loader import ImageLoader, augment, normalise
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.files import write_text
from pathlens.runs import Run
from pathlens.training.checkpoint import load_checkpoint, save_checkpoint
from pathlens.training.config import Config
from pathlens.training.evaluation import evaluate, scores_of
from pathlens.training.objective import Objective
from pathlens.training.schedule import hashing_at, lr_factor

_SHORT = {
    "classification": "class",
    "mutual_information": "info",
    "alignment": "align",
    "sparsity": "sparse",
    "train_accuracy": "acc",
    "density": "on",
}


class InterruptedTraining(PathLensError):
    """Training was stopped by the user; what was done is saved."""


class Trainer:
    """Trains one network to the end of its schedule.

    Args:
        config: What was asked for.
        run: Folder for checkpoint and history.
        network: Plain or decoupled, with its first weights.
        teacher: Plain network to learn from, or None.
        train: Training images.
        validation: Images that choose among checkpoints and are watched.
        device: Where to train.
        progress: Whether to show progress bars.
    """

    def __init__(
        self,
        config: Config,
        run: Run,
        network: nn.Module,
        teacher: nn.Module | None,
        train: ImageLoader,
        validation: ImageLoader,
        *,
        device: str = "cpu",
        progress: bool = True,
    ) -> None:
        self.config, self.run, self.device, self.progress = config, run, device, progress
        # Channels last is the layout in which convolutions run fastest, on CPU by a quarter.
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher = teacher
        if teacher is not None:
            self.teacher = teacher.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.train, self.validation = train, validation
        losses = config.recipe.losses
        self.objective = Objective(losses, network, len(config.classes)).to(device)
        self.optimiser = self._optimiser()
        self.steps = -(-len(train.split) // config.batch_size)
        self.epoch, self.step = 0, 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best = -1.0
        labels = train.split.labels
        assert labels is not None  # only labelled splits are trained on
        self.labels = torch.from_numpy(np.asarray(labels, dtype=np.int64))

    def _optimiser(self) -> torch.optim.SGD:
        settings = self.config.recipe.optimiser
        scratch = self.config.weights is None and self.config.start_from is None
        peak = settings.lr_from_scratch if scratch else settings.lr
        peak *= self.config.batch_size / self.config.recipe.batch_size
        backbone: list[nn.Parameter] = list(self.network.parameters())
        groups: list[dict[str, Any]] = []
        if isinstance(self.network, DecoupledNetwork):
            backbone = list(self.network.model.parameters())
            extra = [*self.network.gating.parameters(), *self.objective.parameters()]
            groups.append(
                {
                    "params": extra,
                    "peak": settings.gating_lr,
                    "weight_decay": settings.gating_weight_decay,
                }
            )
        groups.append({"params": backbone, "peak": peak, "weight_decay": settings.weight_decay})
        return torch.optim.SGD(
            groups, lr=peak, momentum=settings.momentum, nesterov=settings.nesterov
        )

    # ------------------------------------------------------------------ the loop

    def fit(self) -> None:
        """Train from where the checkpoint stands to the last epoch.

        Raises:
            InterruptedTraining: On Ctrl-C, after the running step has been saved.
            PathLensError: If the loss is no longer a number, or the disk is full.
        """
        self._resume()
        with _stop_on_interrupt() as stop:
            while self.epoch < self.config.epochs:
                self._train_epoch(stop)
                self._finish_epoch()
                if stop.is_set():  # it came while the epoch was measured
                    self._interrupt()

    def _train_epoch(self, stop: threading.Event) -> None:
        self.network.train()
        started = time.perf_counter()
        order = self._order()
        plan = [
            order[i : i + self.config.batch_size]
            for i in range(self.step * self.config.batch_size, len(order), self.config.batch_size)
        ]
        bar = tqdm(
            total=self.steps,
            initial=self.step,
            desc=f"epoch {self.epoch + 1}/{self.config.epochs}",
            disable=not self.progress,
            leave=False,
            dynamic_ncols=True,
        )
        with bar:
            for batch in self.train.batches(plan):
                if len(batch.positions) > 1:  # a BN cannot train on one image
                    self._train_step(batch.canvas, self.labels[torch.from_numpy(batch.positions)])
                self.step += 1
                bar.update()
                bar.set_postfix(self._shown(), refresh=False)
                if stop.is_set():
                    self._add(seconds=time.perf_counter() - started)
                    self._interrupt()
        self._add(seconds=time.perf_counter() - started)

    def _train_step(self, canvas: torch.Tensor, labels: torch.Tensor) -> None:
        progress = (self.epoch + self.step / self.steps) / self.config.epochs
        self._set_schedule(progress)
        x = normalise(augment(canvas, self.train.view, self._generator()).to(self.device))
        x = x.contiguous(memory_format=torch.channels_last)
        labels = labels.to(self.device)
        teacher, path = None, None
        with self._autocast():
            if self.teacher is not None and self.config.recipe.losses.distillation:
                with torch.no_grad():
                    teacher = scores_of(self.teacher(x)).float()
            if isinstance(self.network, DecoupledNetwork):
                output, path = self.network.with_path(x, responses=self.objective.needs_responses)
            else:
                output = self.network(x)
        scores = scores_of(output).float()
        parts = self.objective(scores, labels, path, teacher, progress)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise PathLensError(
                f"The loss is no longer a number in epoch {self.epoch + 1}: lower the learning rate "
                "in a copy of the recipe (--recipe FILE)."
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        right = (scores.detach().argmax(1) == labels).float().mean()
        values = {name: float(part.detach()) for name, part in parts.items()}
        if path is not None:
            values["density"] = float(path.density().detach())
        self._add(loss=float(loss.detach()), train_accuracy=float(right), steps=1.0, **values)

    def _autocast(self) -> torch.autocast:
        """Mixed precision, if asked for; weights, gates and losses stay in float32."""
        mixed = self.config.precision == "bfloat16"
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=mixed)

    def _set_schedule(self, progress: float) -> None:
        factor = lr_factor(self.config.recipe.optimiser, progress)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        if isinstance(self.network, DecoupledNetwork):
            self.network.hashing = hashing_at(self.config.recipe.hash, progress)

    def _finish_epoch(self) -> None:
        if not self.sums.get("steps"):
            raise PathLensError(
                f"No training image of '{self.config.data}' could be used ({self._why_none()}): check "
                "the folder."
            )
        measured = evaluate(self.network, self.validation, device=self.device)
        row = {
            "epoch": self.epoch + 1,
            "lr": self.optimiser.param_groups[-1]["lr"],
            **self._means(),
            "validation_accuracy": measured.accuracy,
            "validation_loss": measured.loss,
            "validation_density": measured.density,
            "validation_macs_share": measured.macs_share,
            "seconds": self.sums.get("seconds", 0.0),
        }
        self.history.append(row)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        if self.config.recipe.keep == "best" and measured.accuracy > self.best:
            self.best = measured.accuracy
            save_checkpoint(self.run.folder / "best.pt", {"weights": self.network.state_dict()})
        self.save()
        self.write_history()
        if self.progress:
            tqdm.write(_line(row, self.config.epochs))

    def _why_none(self) -> str:
        if not self.train.failed:
            return "a step needs at least two images"
        position, reason = next(iter(self.train.failed.items()))
        return f"{self.train.split.ids[position]}: {reason}"

    # ------------------------------------------------------------------ determinism

    def _order(self) -> list[int]:
        """Order of the training images in this epoch: the same after a resume."""
        generator = torch.Generator().manual_seed(_mix(self.config.seed, self.epoch))
        return torch.randperm(len(self.train.split), generator=generator).tolist()

    def _generator(self) -> torch.Generator:
        """Decides the augmentation of this step: the same after a resume."""
        return torch.Generator().manual_seed(_mix(self.config.seed, self.epoch, self.step + 1))

    def _add(self, **values: float) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def _means(self) -> dict[str, float]:
        steps = self.sums.get("steps", 0.0) or 1.0
        return {k: v / steps for k, v in self.sums.items() if k not in ("steps", "seconds")}

    def _shown(self) -> dict[str, str]:
        """Running means under short names, so that they fit a terminal."""
        return {_SHORT.get(name, name): f"{mean:.3g}" for name, mean in self._means().items()}

    # ------------------------------------------------------------------ saving

    def save(self) -> None:
        """Write the checkpoint: weights and all that resuming exactly needs."""
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums,
            "history": self.history,
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state_dict(),
            "rng": torch.get_rng_state(),
        }
        if self.device.startswith("cuda"):
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        if self.device.startswith("mps"):
            state["mps_rng"] = torch.mps.get_rng_state()
        weights = self.network.state_dict()
        save_checkpoint(self.run.checkpoint, {"weights": weights, "training": state})

    def _resume(self) -> None:
        if not self.run.checkpoint.exists():
            return
        content = load_checkpoint(self.run.checkpoint)
        state = content.get("training")
        if not isinstance(state, dict):
            raise PathLensError(
                f"{self.run.checkpoint} holds weights only and cannot be resumed: start a new run from "
                f"it with --weights {self.run.checkpoint}."
            )
        self.network.load_state_dict(content["weights"])
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.sums, self.history, self.best = state["sums"], state["history"], state["best"]
        torch.set_rng_state(state["rng"])
        if "cuda_rng" in state and self.device.startswith("cuda"):
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)
        if "mps_rng" in state and self.device.startswith("mps"):
            torch.mps.set_rng_state(state["mps_rng"])

    def _interrupt(self) -> None:
        self.save()
        where = f"in epoch {self.epoch + 1} of {self.config.epochs}"
        where += f" after step {self.step} of {self.steps}"
        if self.epoch == self.config.epochs:
            where = "after the last epoch"
        raise InterruptedTraining(
            f"Stopped {where}; everything is saved: resume with `pathlens train --run {self.run.name}"
            f"{'' if self.device == 'cpu' else f' --device {self.device}'}`."
        )

    def write_history(self) -> None:
        """Write a row an epoch to the run's history.csv."""
        names = list(dict.fromkeys(name for row in self.history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        write_text(self.run.folder / "history.csv", text.getvalue())


def _mix(*numbers: int) -> int:
    """One seed from several numbers, without overlap between neighbours."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _line(row: dict[str, float], epochs: int) -> str:
    parts = [
        f"epoch {row['epoch']:.0f}/{epochs}",
        f"loss {row['loss']:.3f}",
        f"train {row['train_accuracy']:.1%}",
        f"validation {row['validation_accuracy']:.1%}",
    ]
    if "density" in row:
        parts.append(f"gates on {row['validation_density']:.1%}")
        parts.append(f"MACs {row['validation_macs_share']:.1%}")
    return "  ".join([*parts, f"{row['seconds']:.0f} s"])


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a wish that the loop grants after the running step."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)  # a second Ctrl-C stops at once

    signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
