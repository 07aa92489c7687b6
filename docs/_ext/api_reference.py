"""The Python reference: every public name of a room, read from its `__all__`."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import OptionSpec

_CODE = re.compile(r"(``?[^`]+``?)")
_MARKUP = re.compile(r"([|*])|(?<=\w)(_)(?=\W|$)")


class Room(SphinxDirective):
    """A summary of a room's public functions and classes, then each in full."""

    required_arguments = 1
    # Names that another room shares, and whose page describes them.
    option_spec: ClassVar[OptionSpec] = {"elsewhere": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Return the documentation of the module that is named."""
        name = self.arguments[0]
        module = importlib.import_module(name)
        elsewhere = self.options.get("elsewhere", "").split()
        public = [(x, getattr(module, x)) for x in module.__all__ if x not in elsewhere]
        documented = [(each, value) for each, value in public if _is_documented(value)]
        lines = ["```{eval-rst}", ".. autosummary::", ""]
        lines += [f"   ~{name}.{each}" for each, _ in documented]
        for each, value in documented:
            kind = "autoclass" if inspect.isclass(value) else "autofunction"
            lines += ["", f".. {kind}:: {name}.{each}"]
            lines += ["   :members:"] if kind == "autoclass" else []
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))


def _is_documented(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def escape_formulas(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep the bars, stars and trailing underscores of formulas from being read as markup."""
    lines[:] = [
        "".join(
            part if place % 2 else _MARKUP.sub(lambda found: "\\" + found.group(0), part)
            for place, part in enumerate(_CODE.split(line))
        )
        for line in lines
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the escaping, which has to come before napoleon."""
    app.add_directive("pathlens-room", Room)
    app.connect("autodoc-process-docstring", escape_formulas, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
