"""Tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows, the first of them a header, with numbers to the right and words to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    words = [not cell[:1].isdigit() for cell in rows[-1]]
    return [
        "  ".join(
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(row, widths, words, strict=True)
        ).rstrip()
        for row in rows
    ]
