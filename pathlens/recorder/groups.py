"""Groups of images that belong together (a video, a source image), from a CSV file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from pathlens.datasets import ImageSplit
from pathlens.errors import PathLensError, first_line
from pathlens.recording.further import TEXT_COLUMNS

GROUPS_FILE = "groups.csv"
"""Taken from an image folder without being asked for."""

_COLUMNS = ("group", *TEXT_COLUMNS)


def groups_file(given: str | Path | None, data: str) -> Path | None:
    """The file asked for, else that of the image folder `data`, if it has one."""
    if given is not None:
        return Path(given)
    beside = Path(data) / GROUPS_FILE
    return beside if beside.is_file() else None


def read_groups(path: Path, images: ImageSplit) -> pd.DataFrame:
    """The group of every planned image.

    Args:
        path: CSV file with the columns image, group and, if known, source_image and attack; it may
            name other images too.
        images: The planned images.

    Returns:
        Text columns group and, where the file has them, source_image and attack ("" for none); a
        row an image, in the planned order.

    Raises:
        PathLensError: If the file cannot be read, lacks a column, names an image twice, or gives a
            planned image no group.
    """
    table = _read(path)
    if not {"image", "group"} <= set(table.columns):
        raise PathLensError(
            f"{path} needs the columns image,group[,source_image,attack]; it has "
            f"{','.join(map(str, table.columns))}."
        )
    twice = table["image"][table["image"].duplicated()]
    if len(twice):
        raise PathLensError(f"{path} names the image '{twice.iloc[0]}' twice: keep one line of it.")
    kept = [name for name in _COLUMNS if name in table.columns]
    found = table.set_index("image")[kept].reindex(list(images.ids))
    without = found.index[found["group"].isna() | (found["group"] == "")]
    if len(without):
        raise PathLensError(
            f"{path} names no group for {len(without)} of the {len(images)} images, the first being "
            f"'{without[0]}': add them; an image that stands alone is a group of its own."
        )
    return found.reset_index(drop=True)


def groups_hash(groups: pd.DataFrame) -> str:
    """SHA-256 over group, source image and attack of every row, each with a zero byte after it."""
    full = groups.reindex(columns=list(_COLUMNS), fill_value="")
    text = "".join(f"{value}\0" for row in full.itertuples(index=False) for value in row)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise PathLensError(
            f"There is no file {path}: give one with the columns image,group[,source_image,attack]."
        ) from error
    except (OSError, ValueError) as error:
        raise PathLensError(f"{path} is not a CSV file ({first_line(error)}): mend it.") from error
