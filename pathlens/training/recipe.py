"""Recipes: how a network is trained, as a file that one can read and copy."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pathlens.decoupling.gating import Gating
from pathlens.errors import PathLensError, unknown


@dataclass(frozen=True)
class Optimiser:
    """SGD with momentum and its schedule; shares are of the whole training, rates are peaks."""

    lr: float = 0.02
    lr_from_scratch: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "steps"] = "cosine"
    warmup: float = 0.0
    milestones: tuple[float, ...] = ()
    gating_lr: float = 0.1
    gating_weight_decay: float = 0.0


@dataclass(frozen=True)
class Hash:
    """Noise of the hash over training; shares are of the whole training."""

    noise: float = 1.0
    noise_until: float = 1.0
    hard_from: float = 1.0


@dataclass(frozen=True)
class Losses:
    """Weights and kinds of the losses beside the cross-entropy; shares are of the whole training."""

    mutual_information: float = 0.0
    mutual_information_reduction: Literal["sum", "mean"] = "sum"
    mutual_information_ramp: tuple[float, ...] = (0.0, 0.0)
    alignment: float = 0.0
    alignment_direction: Literal["response-gates", "gates-response"] = "response-gates"
    alignment_reduction: Literal["batch", "element"] = "element"
    alignment_detach: bool = False
    sparsity: Literal["gates", "macs"] = "gates"
    sparsity_weight: float = 0.0
    sparsity_target: float = 0.5
    sparsity_lowered_until: float = 0.0
    sparsity_floor: float = 0.0
    distillation: float = 0.0
    distillation_temperature: float = 4.0


@dataclass(frozen=True)
class Recipe:
    """All settings of a training, read from a TOML file.

    Attributes:
        name: Name of a shipped recipe, or path of the user's.
        description: One line for readers.
        epochs: Passes over the training images, if not given on the command line.
        batch_size: Images a step; the learning rate of the network belongs to it and is scaled in
            proportion when another is used (Goyal et al., arXiv 1706.02677).
        min_steps: Steps of the whole training below which the batch is halved, down to 16 images;
            gates need steps to close.
        keep: Which epoch's weights are the result: the "last", or the "best" on validation images.
    """

    name: str
    description: str = ""
    epochs: int = 6
    batch_size: int = 128
    min_steps: int = 0
    keep: Literal["last", "best"] = "last"
    optimiser: Optimiser = field(default_factory=Optimiser)
    gating: Gating = field(default_factory=Gating)
    hash: Hash = field(default_factory=Hash)
    losses: Losses = field(default_factory=Losses)

    def batch_for(self, images: int, epochs: int) -> int:
        """Images a step for so many training images and epochs."""
        size = self.batch_size
        while size >= 32 and epochs * -(-images // size) < self.min_steps:
            size //= 2
        return size

    def with_macs(self, share: float) -> Recipe:
        """The same recipe with another budget of multiply-adds.

        Raises:
            PathLensError: If the share is not between 0 and 1, or the recipe has no such budget.
        """
        if self.losses.sparsity != "macs":
            raise PathLensError(f"Recipe {self.name} has no budget of MACs that --macs could set.")
        if not 0 < share <= 1:
            raise PathLensError(f"--macs {share} must be a share of the plain network's, up to 1.")
        return replace(self, losses=replace(self.losses, sparsity_target=share))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the configuration of a run holds them."""
        return asdict(self)

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_json`.

        Raises:
            PathLensError: If a setting is unknown or of the wrong type.
        """
        recipe: Recipe = _build(Recipe, entry, str(entry.get("name", "recipe")))
        return recipe


_LEAST = {"batch_size": 2, "reduction": 1, "distillation_temperature": 0.01, "opening": -math.inf}
"""Smallest sensible values of settings that may not be 0 (or may be negative)."""

_SECTIONS: dict[str, Any] = {
    "optimiser": Optimiser,
    "gating": Gating,
    "hash": Hash,
    "losses": Losses,
}


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with PathLens."""
    folder = resources.files("pathlens.training") / "recipes"
    return sorted(
        Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def load_recipe(name: str) -> Recipe:
    """Read a shipped recipe by name, or the user's own by path.

    Raises:
        PathLensError: If there is none, it is not TOML, or a setting is unknown.
    """
    if name in shipped_recipes():
        text = (resources.files("pathlens.training") / "recipes" / f"{name}.toml").read_text(
            "utf-8"
        )
    elif Path(name).is_file():
        text = Path(name).read_text("utf-8")
    else:
        raise unknown("recipe", name, shipped_recipes())
    try:
        return Recipe.from_json({**tomllib.loads(text), "name": name})
    except tomllib.TOMLDecodeError as error:
        raise PathLensError(f"Recipe {name} is not valid TOML: {error}.") from error


def _build(kind: Any, entry: Mapping[str, Any], name: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    settings = {}
    for key, value in entry.items():
        if key not in known:
            raise PathLensError(f"Recipe {name}: {unknown('setting', key, known)}")
        if key in _SECTIONS and kind is Recipe:
            if not isinstance(value, Mapping):
                raise PathLensError(f"Recipe {name}: [{key}] must be a section, not {value!r}.")
            settings[key] = _build(_SECTIONS[key], value, name)
        else:
            settings[key] = _checked(name, key, value, str(known[key].type))
    return kind(**settings)


def _checked(name: str, key: str, value: Any, annotation: str) -> Any:
    """The value, if it has the annotated type."""
    if annotation.startswith("Literal"):
        allowed = [part.strip(" \"'") for part in annotation[len("Literal[") : -1].split(",")]
        fits = value in allowed
        expected = " or ".join(allowed)
    elif annotation.startswith("tuple"):
        fits = isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value)
        value, expected = tuple(value) if fits else value, "a list of numbers"
    else:
        types: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "str": str}
        is_bool = isinstance(value, bool)
        fits = isinstance(value, types[annotation]) and is_bool == (annotation == "bool")
        expected = {"int": "a whole number", "float": "a number"}.get(annotation, annotation)
    if not fits:
        raise PathLensError(f"Recipe {name}: {key} must be {expected}, not {value!r}.")
    least = _LEAST.get(key, 0)
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float) and not least <= number < math.inf:
            raise PathLensError(f"Recipe {name}: {key} must be at least {least}, not {value!r}.")
    if key.endswith("_ramp") and len(value) != 2:
        raise PathLensError(f"Recipe {name}: {key} must be two shares, such as [0.0, 0.2].")
    return value
