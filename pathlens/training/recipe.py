"""Recipes: how a network is trained, as a file that one can read and copy."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pathlens.decoupling.constant import Constant
from pathlens.decoupling.gating import Gating
from pathlens.decoupling.top_k import TopK
from pathlens.errors import PathLensError, unknown
from pathlens.training.sections import Hash, Losses, Optimiser


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
        projections: Whether projection shortcuts are gated too; `projections` of [gating] in the
            file, whatever kind of gating it names.
    """

    name: str
    description: str = ""
    epochs: int = 6
    batch_size: int = 128
    min_steps: int = 0
    keep: Literal["last", "best"] = "last"
    optimiser: Optimiser = field(default_factory=Optimiser)
    gating: Gating | TopK | Constant = field(default_factory=Gating)
    hash: Hash = field(default_factory=Hash)
    losses: Losses = field(default_factory=Losses)
    projections: bool = False

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
        entry = asdict(self)
        entry["gating"]["projections"] = entry.pop("projections")
        return entry

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_json`.

        Raises:
            PathLensError: If a setting is unknown or of the wrong type, or settings contradict each
                other.
        """
        name = str(entry.get("name", "recipe"))
        recipe: Recipe = _build(Recipe, _with_projections(entry, name), name)
        fault = _contradiction(recipe)
        if fault is not None:
            raise PathLensError(f"Recipe {recipe.name}: {fault}.")
        return recipe


GATINGS: dict[str, Any] = {"hashed": Gating, "top-k": TopK, "constant": Constant}
"""Kinds of gating by the name that a recipe gives; the first if it gives none."""

_LEAST = {
    "batch_size": 2,
    "reduction": 1,
    "distillation_temperature": 0.01,
    "temperature": 0.01,
    "attribute_buckets": 2,
    "opening": -math.inf,
}
"""Smallest sensible values of settings that may not be 0 (or may be negative)."""

_SECTIONS: dict[str, Any] = {
    "optimiser": Optimiser,
    "gating": Gating,
    "hash": Hash,
    "losses": Losses,
}


def _contradiction(recipe: Recipe) -> str | None:
    """What is wrong with settings that are right one by one, and what to do; None if nothing."""
    losses, top_k = recipe.losses, isinstance(recipe.gating, TopK)
    if losses.attribute == "superclass" and not losses.attribute_table:
        return "attribute superclass needs attribute_table, a table with a row for every class"
    if losses.attribute == "concept" and not losses.attribute_name:
        return "attribute concept needs attribute_name, the name of the concept"
    if losses.saliency and not top_k:
        return "saliency is a loss of top-k gates: set it to 0, or kind in [gating] to top-k"
    if top_k and losses.sparsity_weight:
        return "top-k gates are set to the target and not pushed: set sparsity_weight to 0"
    learns = losses.mutual_information or losses.alignment
    if isinstance(recipe.gating, TopK) and recipe.gating.boost and learns:
        return (
            "with boost no gradient reaches top-k gates: set mutual_information and alignment to 0, "
            "or boost to false"
        )
    return None


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
        recipe = Recipe.from_json({**tomllib.loads(text), "name": name})
    except tomllib.TOMLDecodeError as error:
        raise PathLensError(f"Recipe {name} is not valid TOML: {error}.") from error
    if not recipe.losses.attribute_table:
        return recipe
    # Absolute, so that a run can be resumed from anywhere.
    table = Path(name).resolve().parent / recipe.losses.attribute_table
    return replace(recipe, losses=replace(recipe.losses, attribute_table=str(table)))


def _build(kind: Any, entry: Mapping[str, Any], name: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    settings = {}
    for key, value in entry.items():
        if key not in known:
            raise PathLensError(f"Recipe {name}: {unknown('setting', key, known)}")
        if key in _SECTIONS and kind is Recipe:
            if not isinstance(value, Mapping):
                raise PathLensError(f"Recipe {name}: [{key}] must be a section, not {value!r}.")
            settings[key] = _build(_section(key, value, name), value, name)
        else:
            settings[key] = _checked(name, key, value, str(known[key].type))
    try:
        return kind(**settings)
    except ValueError as error:
        raise PathLensError(f"Recipe {name}: {error}.") from error


def _with_projections(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The entry with what [gating] says of the network, and not of its gating modules, beside it."""
    if "projections" in entry:
        raise PathLensError(f"Recipe {name}: projections must stand in the section [gating].")
    gating = entry.get("gating")
    if not isinstance(gating, Mapping) or "projections" not in gating:
        return entry
    own = {key: value for key, value in gating.items() if key != "projections"}
    return {**entry, "gating": own, "projections": gating["projections"]}


def _section(key: str, entry: Mapping[str, Any], name: str) -> Any:
    """The settings that a section holds, which for gating depend on its kind."""
    if key != "gating" or "kind" not in entry:
        return _SECTIONS[key]
    if entry["kind"] not in list(GATINGS):
        raise PathLensError(
            f"Recipe {name}: kind must be {' or '.join(GATINGS)}, not {entry['kind']!r}."
        )
    return GATINGS[entry["kind"]]


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
