"""Which networks the study compares, and where their files are."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import pathlens
from pathlens.datasets import Dataset, load_dataset
from pathlens.runs import Run
from pathlens.training.config import Config
from pathlens.training.preparing import fingerprint

HERE = Path(__file__).resolve().parent
CHECKPOINTS = HERE.parent / "checkpoints"
SHARED = Path(os.environ.get("PATHLENS_SHARED", HERE.parents[2] / "shared")).resolve()
FOLDERS = {"flowers128": "flowers128", "tinyimagenet20": "tinyimagenet20_a"}


@dataclass(frozen=True)
class Rival:
    """One statically pruned network.

    Attributes:
        name: Name of its row and of its run.
        set: Name of the images.
        pruning: Importance and its scope.
        start: "same" or "plain"; see rows.toml.
        share: Share of multiply-adds that pruning goes down to.
    """

    name: str
    set: str
    pruning: str
    start: str
    share: float


@dataclass(frozen=True)
class Set:
    """One set of images with the kept networks.

    Attributes:
        name: Its name.
        decoupled: The kept decoupled run.
        plain: The kept plain run, trained equally.
        rivals: The pruned networks.
    """

    name: str
    decoupled: Run
    plain: Run
    rivals: tuple[Rival, ...]

    def config(self, limit: int | None = None, epochs: int | None = None) -> Config:
        """How the decoupled network was trained, without its gates."""
        config = Config.from_json(self.decoupled.config)
        return replace(
            config,
            plain=True,
            data=str(SHARED / "data" / FOLDERS[self.name]),
            limit=limit,
            epochs=config.epochs if epochs is None else epochs,
        )

    def dataset(self, config: Config) -> Dataset:
        """Its images.

        Raises:
            ValueError: If they are not those that the kept networks were trained on.
        """
        found = load_dataset(config.data, seed=config.data_seed, limit=config.limit)
        if config.limit is None and fingerprint(found) != config.images:
            raise ValueError(f"{config.data} holds other training images than those of {self.name}")
        return found


def planned(text: str) -> list[Set]:
    """The sets of a rows.toml, each with all rivals."""
    rows = tomllib.loads(text)
    rivals = [Rival(**row) for row in rows["row"]]
    return [
        Set(
            one["name"],
            Run(CHECKPOINTS / one["decoupled"]),
            Run(CHECKPOINTS / one["plain"]),
            tuple(rival for rival in rivals if rival.set == one["name"]),
        )
        for one in rows["set"]
    ]


def first_network(one: Set, work: Path) -> Run:
    """The plain network that the decoupled one started from, trained again as it was if need be."""
    name = one.decoupled.config["start_from"]
    if Run(work / "runs" / name).finished:
        return Run(work / "runs" / name)
    rows = tomllib.loads((HERE.parent / "accuracy" / "rows.toml").read_text("utf-8"))
    settings = next(row for row in rows["row"] if row["name"] == name)
    folders = {
        "weights": str(SHARED / "data" / "weights"),
        FOLDERS[one.name]: str(SHARED / "data" / FOLDERS[one.name]),
        "recipes": str(HERE.parent / "accuracy" / "recipes"),
    }
    settings = {**rows["defaults"], **settings}
    given = {k: v.format(**folders) if isinstance(v, str) else v for k, v in settings.items()}
    os.environ["PATHLENS_RUNS"] = str(work / "runs")
    return pathlens.train(run=given.pop("name"), **given)
