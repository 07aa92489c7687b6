"""The training loop: reads top to bottom, saves after every epoch, and stops cleanly on Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pathlens.datasets.loader import ImageLoader, normalise
from pathlens.decoupling.hashing import Draws
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.runs import Run
from pathlens.training import history, randomness
from pathlens.training.attributes import attribute_values
from pathlens.training.checkpoint import load_checkpoint, save_checkpoint
from pathlens.training.compiling import compiled
from pathlens.training.config import Config
from pathlens.training.density import Density
from pathlens.training.distributed import World
from pathlens.training.evaluation import evaluate, scores_of
from pathlens.training.interrupt import InterruptedTraining, stop_on_interrupt
from pathlens.training.objective import Objective
from pathlens.training.optimiser import build_optimiser, set_rates, set_train_mode
from pathlens.training.schedule import hashing_at
from pathlens.training.telling import Telling


class Trainer:
    """Trains one network to the end of its schedule.

    Args:
        config: What was asked for.
        run: Folder for checkpoint and history.
        network: Plain or decoupled, with its first weights.
        teacher: Plain network to learn from, or None.
        train: Training images.
        validation: Images that choose among checkpoints and are watched.
        progress: Whether to show progress bars.
        tensorboard: Whether to write event files; a run that has some goes on with them.
        world: The processes that train together, and the device of this one.
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
        progress: bool = True,
        tensorboard: bool = False,
        world: World | None = None,
    ) -> None:
        self.config, self.run, self.world = config, run, world or World()
        device = self.device = self.world.device
        # Channels last is the layout in which convolutions run fastest, on CPU by a quarter.
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher = teacher
        if teacher is not None:
            self.teacher = teacher.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.train, self.validation = train, validation
        losses = config.recipe.losses
        attribute = None if config.plain else attribute_values(losses, train.split, config.seed)
        self.objective = Objective(losses, network, len(config.classes), attribute).to(device)
        self.density = Density.of(losses, network)
        self.optimiser = build_optimiser(config, network, self.objective)
        self.steps = -(-len(train.split) // config.batch_size)
        self.telling = Telling(
            run,
            config.epochs,
            self.steps,
            progress=progress and self.world.leads,
            tensorboard=tensorboard,
            leads=self.world.leads,
        )
        self.epoch, self.step = 0, 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best = -1.0
        labels = train.split.labels
        assert labels is not None  # only labelled splits are trained on
        self.labels = torch.from_numpy(np.asarray(labels, dtype=np.int64))
        self._forward = compiled(self._call(), config.compile)
        self._teach = compiled(self.teacher, config.compile)

    def _call(self) -> Callable[..., Any]:
        """What a training step runs."""
        network = self.network
        return network.with_path if isinstance(network, DecoupledNetwork) else network

    # ------------------------------------------------------------------ the loop

    def fit(self) -> None:
        """Train from where the checkpoint stands to the last epoch.

        Raises:
            InterruptedTraining: On Ctrl-C, after the running step has been saved.
            PathLensError: If the loss is no longer a number, or the disk is full.
        """
        self._resume()
        self.world.copy_from_leader(self.network)
        self.world.copy_from_leader(self.objective)
        done = self.epoch * self.steps + self.step
        with stop_on_interrupt() as stop, self.telling.from_step(done, self.history):
            while self.epoch < self.config.epochs:
                self._train_epoch(stop)
                self._finish_epoch()
                self.telling.epoch_is_done(self.history[-1])
                if self._wanted(stop):  # it came while the epoch was measured
                    self._interrupt()

    def _train_epoch(self, stop: threading.Event) -> None:
        set_train_mode(self.network, self.config.recipe.optimiser)
        started = time.perf_counter()
        self.telling.epoch_begins(self.epoch)
        seeds = randomness.image_seeds(len(self.train.split), self.config.seed, self.epoch)
        for batch in self.train.batches(self._plan()):
            count = len(batch.positions)
            images, short = self.world.sum(count, count < 2)
            if not short:  # a BN cannot train on one image
                positions = torch.from_numpy(batch.positions)
                mine = seeds[batch.positions].tolist()
                self._train_step(batch.canvas, positions, mine, count / images)
            self.step += 1
            self.telling.step_is_done(self._means())
            if self._wanted(stop):
                self._add(seconds=time.perf_counter() - started)
                self._interrupt()
        self._add(seconds=time.perf_counter() - started)

    def _plan(self) -> list[Any]:
        """What is left of the epoch: this process's part of every batch."""
        order = randomness.epoch_order(len(self.train.split), self.config.seed, self.epoch)
        size = self.config.batch_size
        begins = range(self.step * size, len(order), size)
        return [self.world.slice(order[begin : begin + size]) for begin in begins]

    def _train_step(
        self, canvas: Tensor, positions: Tensor, seeds: Sequence[int], share: float
    ) -> None:
        progress = (self.epoch + self.step / self.steps) / self.config.epochs
        mean = self.world.mean(share)
        torch.manual_seed(  # for dropout, which knows no images
            randomness.mix(self.config.seed, self.epoch, self.step + 1, self.world.rank)
        )
        x, draws = randomness.draw(canvas, self.train.view, seeds, self._columns())
        self._set_schedule(progress, draws.to(self.device))
        x = normalise(x.to(self.device)).contiguous(memory_format=torch.channels_last)
        labels, positions = self.labels[positions].to(self.device), positions.to(self.device)
        teacher, path = None, None
        with self._autocast():
            if self._teach is not None and self.config.recipe.losses.distillation:
                with torch.no_grad():
                    teacher = scores_of(self._teach(x)).float()
            if isinstance(self.network, DecoupledNetwork):
                output, path = self._forward(x, responses=self.objective.needs_responses)
            else:
                output = self._forward(x)
        scores = scores_of(output).float()
        parts = self.objective(scores, labels, path, teacher, progress, positions, mean)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise PathLensError(
                f"The loss is no longer a number in epoch {self.epoch + 1}: lower the learning rate "
                "in a copy of the recipe (--recipe FILE)."
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.world.sum_gradients(p for g in self.optimiser.param_groups for p in g["params"])
        self.optimiser.step()
        with torch.no_grad():
            values = {name: float(part) for name, part in parts.items()}
            values["train_accuracy"] = float(mean((scores.argmax(1) == labels).float()))
            if path is not None:
                values["density"] = float(mean(path.concatenate().mean(dim=1)))
        self._add(loss=float(loss.detach()), steps=1.0, **values)

    def _columns(self) -> int:
        """Random numbers an image that its gates can ask for: one a filter and a coin a layer."""
        layers = self.network.layers if isinstance(self.network, DecoupledNetwork) else None
        return 0 if layers is None else layers.filters + len(layers)

    def _autocast(self) -> torch.autocast:
        """Mixed precision, if asked for; weights, gates and losses stay in float32."""
        mixed = self.config.precision == "bfloat16"
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=mixed)

    def _set_schedule(self, progress: float, draws: Draws) -> None:
        """Set rates, hash and top-k density as they are due; the gates of a step have its draws."""
        recipe = self.config.recipe
        set_rates(self.optimiser, recipe.optimiser, progress)
        if isinstance(self.network, DecoupledNetwork):
            self.network.hashing = hashing_at(recipe.hash, progress, draws)
        if self.density is not None:
            self.density.set(self.network, progress)

    def _finish_epoch(self) -> None:
        if not self.sums.get("steps"):
            raise PathLensError(
                f"No training image of '{self.config.data}' could be used ({self._why_none()}): check "
                "the folder."
            )
        self.world.average_statistics(self.network)
        measured = evaluate(self.network, self.validation, device=self.device, world=self.world)
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
            if self.world.leads:
                save_checkpoint(self.run.folder / "best.pt", {"weights": self.network.state_dict()})
        self.save()
        self.write_history()

    def _why_none(self) -> str:
        if not self.train.failed:
            return "a step needs at least two images"
        position, reason = next(iter(self.train.failed.items()))
        return f"{self.train.split.ids[position]}: {reason}"

    def _add(self, **values: float) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def _means(self) -> dict[str, float]:
        steps = self.sums.get("steps", 0.0) or 1.0
        return {k: v / steps for k, v in self.sums.items() if k not in ("steps", "seconds")}

    # ------------------------------------------------------------------ saving

    def save(self) -> None:
        """Write the checkpoint: weights and all that resuming exactly needs."""
        if not self.world.leads:
            return
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums,
            "history": self.history,
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state_dict(),
        }
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

    def _wanted(self, stop: threading.Event) -> bool:
        """Whether any of the processes has been asked to stop."""
        return self.world.sum(stop.is_set())[0] > 0

    def _interrupt(self) -> None:
        self.world.average_statistics(self.network)
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
        if self.world.leads:
            history.write_csv(self.run.folder / "history.csv", self.history)
