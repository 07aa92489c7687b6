"""What the pixels of a mask mean: class numbers or colours, and their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathlens.concept_tables.layout import Ints, shown
from pathlens.concept_tables.sources import read_lines
from pathlens.errors import PathLensError, unknown

VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore"})
"""Classes that are no concept unless others are named: pixels that nobody has labelled."""

_COLOUR = re.compile(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\S.*)")
_NUMBER = re.compile(r"(\d+)[\s,]+(\S.*)")


@dataclass(frozen=True)
class MaskClasses:
    """The classes of a set of masks.

    Attributes:
        source: The file that names them.
        names: Names of the classes that are concepts, in the order of the file.
        codes: int64 (names,): class numbers, or colours as 65536 red + 256 green + blue.
        void: int64: codes of pixels that are unlabelled.
        coloured: Whether codes are colours.
    """

    source: Path
    names: tuple[str, ...]
    codes: Ints
    void: Ints
    coloured: bool

    def spell(self, code: int) -> str:
        """A code as the file of classes writes it."""
        if not self.coloured:
            return str(code)
        return f"{code >> 16},{code >> 8 & 255},{code & 255}"


def read_mask_classes(path: str | Path, void: Sequence[str] | None = None) -> MaskClasses:
    """Read a file of classes: lines `number name`, or `red green blue name` for coloured masks.

    Args:
        path: The file, UTF-8.
        void: Unlabelled classes: names of the file, numbers or colours "red,green,blue"; None: what
            is called as in `VOID_NAMES`.

    Raises:
        PathLensError: If it cannot be read, a line is neither, or a number or colour stands twice.
    """
    source = Path(path)
    lines = read_lines(source)
    coloured = all(_COLOUR.fullmatch(line) for line in lines)
    codes: dict[int, str] = {}
    for line in lines:
        code, name = _entry(source, line, coloured)
        if code in codes:
            raise PathLensError(
                f"{source} gives '{codes[code]}' and '{name}' the same number or colour: keep one."
            )
        codes[code] = name
    empty = _void_codes(source, codes, void, coloured)
    kept = [code for code in codes if code not in empty]
    if not kept:
        raise PathLensError(f"{source} names no class that is not unlabelled: add one.")
    return MaskClasses(
        source=source,
        names=tuple(codes[code] for code in kept),
        codes=np.array(kept, dtype=np.int64),
        void=np.array(sorted(empty), dtype=np.int64),
        coloured=coloured,
    )


def _entry(source: Path, line: str, coloured: bool) -> tuple[int, str]:
    match = (_COLOUR if coloured else _NUMBER).fullmatch(line)
    if match is None:
        raise PathLensError(
            f"The line '{line}' of {source} is not 'number name', as those of classes are (or all "
            "of them 'red green blue name', where masks are coloured): mend it."
        )
    *code, name = match.groups()
    return _code(source, [int(part) for part in code]), name


def _code(source: Path, parts: Sequence[int]) -> int:
    if len(parts) == 1:
        return parts[0]
    if max(parts) > 255:
        raise PathLensError(
            f"{source} has the colour {shown(parts)}, but red, green and blue end at 255: mend it."
        )
    return parts[0] << 16 | parts[1] << 8 | parts[2]


def _void_codes(
    source: Path, codes: dict[int, str], void: Sequence[str] | None, coloured: bool
) -> set[int]:
    if void is None:
        return {code for code, name in codes.items() if name.casefold() in VOID_NAMES}
    by_name = {name: code for code, name in codes.items()}
    wanted = 3 if coloured else 1
    found = set()
    for entry in void:
        parts = re.split(r"[\s,]+", entry.strip())
        if entry in by_name:
            found.add(by_name[entry])
        elif len(parts) == wanted and all(part.isdecimal() for part in parts):
            found.add(_code(source, [int(part) for part in parts]))
        else:
            raise unknown(f"class of {source}", entry, by_name)
    return found
