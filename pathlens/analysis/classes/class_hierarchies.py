"""Class hierarchies: superclasses, trees and distance tables, as distances between classes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.source import Floats
from pathlens.errors import PathLensError, first_line, unknown

Hierarchy = pd.DataFrame | Mapping[str, Any] | str | Path
"""What `class_distances` reads as a hierarchy of classes."""

# WordNet 3.0, all hypernyms of the first noun sense (wheeled vehicles are containers there, too).
_ANIMAL = "animal organism living_thing whole object physical_entity entity"
_VERTEBRATE = f"vertebrate chordate {_ANIMAL}"
_PLACENTAL = f"placental mammal {_VERTEBRATE}"
_VEHICLE = "vehicle conveyance instrumentality artifact whole object physical_entity entity"
_MOTOR_VEHICLE = f"motor_vehicle self-propelled_vehicle wheeled_vehicle container {_VEHICLE}"
_CIFAR10 = {
    "airplane": f"heavier-than-air_craft aircraft craft {_VEHICLE}",
    "automobile": _MOTOR_VEHICLE,
    "bird": _VERTEBRATE,
    "cat": f"feline carnivore {_PLACENTAL}",
    "deer": f"ruminant even-toed_ungulate ungulate {_PLACENTAL}",
    "dog": f"canine carnivore domestic_animal {_PLACENTAL}",
    "frog": f"amphibian {_VERTEBRATE}",
    "horse": f"equine odd-toed_ungulate ungulate {_PLACENTAL}",
    "ship": f"vessel craft {_VEHICLE}",
    "truck": _MOTOR_VEHICLE,
}


def cifar10_hierarchy() -> pd.DataFrame:
    """The ten classes of CIFAR-10 in the noun hierarchy of WordNet 3.0 (Fellbaum 1998).

    Returns:
        int64, classes × hypernyms (all of them, up to entity): 1 where the class is a kind of it.
        Automobile and truck have the same ones: WordNet tells them apart by their own names alone.
    """
    return _table({name: text.split() for name, text in _CIFAR10.items()})


def class_distances(
    hierarchy: Hierarchy, classes: Iterable[str], names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Distance in a hierarchy of each pair of the classes that it knows.

    Of superclasses, and of a tree (where they are the branches that a class hangs on), the distance
    is 1 - Jaccard (1912): 1 less the superclasses that both classes have divided by those that
    either has; 1 for two classes without any. It is 0 for classes that the hierarchy does not tell
    apart.

    Args:
        hierarchy: A table of superclasses (its index, else its first column, names the classes; every
            other column is a superclass with 0 or 1 for each class), a square table of distances (the
            same names as rows and columns), a tree (nested mappings from the name of a branch to
            what hangs on it, at last lists of classes), or a file of one of them: .tsv with tabs,
            .json for a tree, any other with commas.
        classes: Class names of the recording.
        names: What the recording calls a class of the hierarchy, where the two differ (folders are
            often called by WordNet number).

    Returns:
        float64, square, over those of `classes` that the hierarchy knows, in their order.

    Raises:
        PathLensError: If the file is missing or unreadable, the table is none of these, or the
            hierarchy knows none of the classes.
    """
    distances = _distances(_read(hierarchy))
    distances = distances.rename(index=dict(names or {}), columns=dict(names or {}))
    if not distances.index.is_unique:
        twice = distances.index[distances.index.duplicated()][0]
        raise PathLensError(f"The hierarchy has two rows for the class {twice!r}: keep one.")
    wanted = list(classes)
    known = [name for name in wanted if name in distances.index]
    if not known and wanted:
        raise unknown("class of the recording in the hierarchy", wanted[0], distances.index)
    return distances.loc[known, known]


def _read(hierarchy: Hierarchy) -> pd.DataFrame:
    if isinstance(hierarchy, str | Path):
        return _read_file(Path(hierarchy).expanduser())
    if isinstance(hierarchy, pd.DataFrame):
        has_names = not isinstance(hierarchy.index, pd.RangeIndex)
        return hierarchy if has_names else hierarchy.set_index(hierarchy.columns[0])
    return _tree_table(hierarchy)


def _read_file(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise PathLensError(f"There is no file of a class hierarchy at {path}: check the path.")
    try:
        if path.suffix == ".json":
            return _tree_table(json.loads(path.read_text(encoding="utf-8")))
        separator = "\t" if path.suffix == ".tsv" else ","
        table = pd.read_csv(path, sep=separator, dtype={0: str}, index_col=0)
    except (ValueError, OSError) as error:
        raise PathLensError(
            f"{path} cannot be read as a class hierarchy ({first_line(error)}): give a table in "
            "tabs (.tsv) or commas, or a tree in .json."
        ) from error
    return table


def _tree_table(tree: Any) -> pd.DataFrame:
    if not isinstance(tree, Mapping):
        raise PathLensError(
            "A class hierarchy is a table, a tree of nested mappings or a file of one: "
            f"{type(tree).__name__} is none of them."
        )
    above: dict[str, list[str]] = {}
    for name, branches in _leaves(tree, ()):
        above.setdefault(name, []).extend(branches)
    return _table(above)


def _leaves(node: Any, branches: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every class of a tree with the branches above it."""
    if isinstance(node, str):
        yield node, branches
    elif isinstance(node, Mapping):
        for name, below in node.items():
            yield from _leaves(below, (*branches, str(name)))
    elif isinstance(node, Sequence):
        for below in node:
            yield from _leaves(below, branches)
    else:
        where = "/".join(branches)
        raise PathLensError(
            f"The tree has a {type(node).__name__} under {where!r}: use mappings for branches and "
            "lists of names for classes."
        )


def _table(above: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    columns = list(dict.fromkeys(name for names in above.values() for name in names))
    rows = [[int(column in names) for column in columns] for names in above.values()]
    return pd.DataFrame(rows, index=list(above), columns=columns, dtype=np.int64)


def _distances(table: pd.DataFrame) -> pd.DataFrame:
    table = table.set_axis([str(name) for name in table.index])
    table.columns = [str(name) for name in table.columns]
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if len(table) and set(table.columns) == set(table.index):
        return _checked(table.index, table[list(table.index)].astype(float).to_numpy())
    if not np.isin(values, (0, 1)).all():
        raise PathLensError(
            "The table of the hierarchy is neither one of superclasses (0 or 1 in every cell) nor "
            "one of distances (the same names as rows and columns): mend it."
        )
    return pd.DataFrame(_jaccard(values), index=table.index, columns=table.index)


def _checked(names: pd.Index[Any], values: Floats) -> pd.DataFrame:
    sound = np.isfinite(values).all() and (values >= 0).all() and not np.diag(values).any()
    if not sound or not np.allclose(values, values.T):
        raise PathLensError(
            "The table of class distances must be symmetric, without negative or missing values, "
            "and 0 from a class to itself: mend it."
        )
    return pd.DataFrame(values, index=names, columns=names)


def _jaccard(sets: npt.NDArray[np.float64]) -> Floats:
    """1 - Jaccard index of the rows of a 0/1 table."""
    shared = sets @ sets.T
    sizes = sets.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - shared
    distances = 1 - np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    np.fill_diagonal(distances, 0)
    return np.asarray(distances)
