"""The command-line reference, read from the typer app at build time, so that it cannot go stale."""

from __future__ import annotations

import re
from typing import Any

from command_tree import anchor, commands, help_records
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class CommandReference(SphinxDirective):
    """A section for every command: what it does, its usage, its arguments and options."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [self._section(name, command) for name, command in commands() if " " in name]

    def _section(self, name: str, command: Any) -> nodes.section:
        usage, records = help_records(name, command)
        section = nodes.section(ids=[anchor(name)], names=[name])
        section += nodes.title(name, name)
        section += nodes.paragraph("", "", *_with_options((command.help or "").strip()))
        section += nodes.literal_block(usage, usage, language="text")
        if records:
            section += _table(records)
        return section


def _table(records: list[tuple[str, str]]) -> nodes.definition_list:
    listed = nodes.definition_list()
    for names, text in records:
        term = nodes.term("", "", nodes.literal(text=names))
        meaning = nodes.definition("", nodes.paragraph("", "", *_with_options(text)))
        listed += nodes.definition_list_item("", term, meaning)
    return listed


def _with_options(text: str) -> list[nodes.Node]:
    """The text, its options set as code: two hyphens in prose would become a dash."""
    parts = re.split(r"(--[\w-]+)", text)
    return [nodes.literal(text=x) if x.startswith("--") else nodes.Text(x) for x in parts]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("pathlens-commands", CommandReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
