"""Errors that a user can mend: one sentence that says what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PathLensError(Exception):
    """Bad input or a broken environment, told in one clear sentence.

    The command line prints the sentence and exits with status 1, without a traceback; from Python
    it is an ordinary exception. Programming mistakes raise other exceptions and keep their traceback.
    """


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def unknown(kind: str, given: str, known: Iterable[str]) -> PathLensError:
    """Build the error for a name that does not exist, with the nearest ones that do.

    Args:
        kind: What was looked for, as a reader would say it: "layer", "model".
        given: The name that was given.
        known: All names that exist.
    """
    names = list(known)
    near = difflib.get_close_matches(given, names, n=5, cutoff=0.4)
    if near:
        hint = f"did you mean {', '.join(near)}?"
    elif names:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        hint = f"known: {shown}."
    else:
        hint = "there is none."
    return PathLensError(f"Unknown {kind} '{given}': {hint}")
