"""The Python of every page runs from top to bottom. That of the README runs in tests/test_readme.py
and tests/training/test_own_loop.py."""

import sys
import types

import pytest

from tests.docs.pages import blocks, named, pages


def python_of(page):
    return [block for block in blocks(page.read_text("utf-8")) if block.language == "python"]


WITH_PYTHON = [page for page in pages() if python_of(page)]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=named)
def test_the_python_of_a_page_runs(page, workplace, monkeypatch):
    # A module that can be found, as dataclasses look up the one that they are defined in.
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for block in python_of(page):
        if block.file:
            (workplace / block.file).write_text(block.code, "utf-8")
        # Lines count as in the page, so that a traceback leads there.
        source = "\n" * block.line + block.code
        exec(compile(source, str(page), "exec"), module.__dict__)


def test_pages_with_python_are_found():
    stems = {page.stem for page in WITH_PYTHON}
    assert {"first-page", "own-network", "own-loop", "import-codes", "faq"} <= stems
    assert {"loss", "detector", "analysis", "dataset"} <= stems


def test_a_block_that_fails_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "text\n\n```python\nx = 1\n```\n\n```{code-block} python\n:caption: a.py\n\ny\n```\n"
    )
    first, second = python_of(page)
    assert (first.code, first.line, first.file) == ("x = 1\n", 3, None)
    assert (second.code, second.file) == ("y\n", "a.py")
