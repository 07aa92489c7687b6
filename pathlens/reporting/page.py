"""From numbers and data to one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from pathlens.analysis.results import plural
from pathlens.reporting.encode import page_json
from pathlens.reporting.headline import cost, count, headline, percent
from pathlens.reporting.notes import how_sure, to_make, what_is_missing

SCRIPTS = (
    *(
        "helpers",
        "barcode",
        "swaps",
        "ablations",
        "states",
        "state_curves",
        "classes",
        "clusters",
        "map",
    ),
    *("information", "traces", "associations", "association_card", "example_card", "page"),
)
"""Names of the script files, in the order in which they run."""


def page(numbers: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The whole page as HTML text.

    Nothing in it is loaded from elsewhere, and a content security policy forbids the browser to
    try; only the script whose hash the policy names may run, so that text from a recording never
    can, even if it slipped through the escaping.

    Args:
        numbers: What `summary.summarise` gives.
        data: What `page_data.page_data` gives.
    """
    from jinja2 import Environment, FunctionLoader
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, count=count, plural=plural)
    script = "\n".join(_source(f"{name}.js") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    missing = what_is_missing(numbers, data)
    template = environment.get_template("page.html.j2")
    # These three are our own files or escaped by `page_json`; all else is escaped by the template.
    return template.render(
        numbers=numbers,
        sentence=headline(numbers),
        macs_text=numbers["macs"] and cost(numbers["macs"]["mean"], numbers["macs"]["dense"]),
        missing=missing,
        to_make=to_make(missing),
        failed=numbers["failed"],
        sure=how_sure(numbers, data),
        by=data["barcode"]["by"],
        shown=data["barcode"]["rows"],
        style=Markup(_source("page.css")),
        script=Markup(script),
        script_hash=digest,
        data=Markup(page_json(data)),
    )


@cache
def _source(name: str) -> str:
    """Text of a file among the page's sources, as the package ships it."""
    files = resources.files("pathlens.reporting.templates")
    return files.joinpath(name).read_text(encoding="utf-8")
