"""Every relative link leads to a file that is there, and to a heading in it; no Sphinx is needed."""

import re
import sys

import pytest

from tests.docs.pages import DOCS, FORMAT, OUTSIDE, ROOT, named, pages, prose

sys.path.insert(0, str(DOCS / "_ext"))
from command_tree import anchor, commands

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)|```\{(?:image|include|literalinclude)\} (\S+)")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
_TOCTREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
_ROLE = re.compile(r"\{py:(\w+)\}`(?:[^`<]*<)?~?([\w.]+)>?`")


def slug(heading):
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", "")).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page):
    text = page.read_text("utf-8")
    if "```{include} ../../pathlens/recording/FORMAT.md" in text:
        text += FORMAT.read_text("utf-8")
    found = {slug(heading) for heading in _HEADING.findall(prose(text))}
    found |= set(_LABEL.findall(text))
    if "{pathlens-commands}" in text:
        found |= {anchor(name) for name, _ in commands()}
    return found


def faults(page):
    text = page.read_text("utf-8")
    for label, target in _LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, part = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists():
            yield f"[{label}]({target}): there is no {path}"
        elif part and part not in anchors(file):
            yield f"[{label}]({target}): there is no heading {part}"
    for pair in _IMAGE.findall(text):
        target = "".join(pair)
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            yield f"{target} is not there"


ALL = [*pages(), *OUTSIDE, ROOT / "analyses" / "README.md"]


@pytest.mark.parametrize("page", ALL, ids=named)
def test_links_lead_somewhere(page):
    assert not list(faults(page))


def listed(page):
    for body in _TOCTREE.findall(page.read_text("utf-8")):
        names = [line for line in body.splitlines() if line and not line.startswith(":")]
        yield from ((page.parent / f"{name}.md").resolve() for name in names if "*" not in name)


def test_every_page_stands_in_a_table_of_contents_once():
    found = [page for holder in pages() for page in listed(holder)]
    assert sorted(found) == sorted({page.resolve() for page in pages()} - {DOCS / "index.md"})


def test_documented_names_exist():
    import importlib

    for page in pages():
        for _, name in _ROLE.findall(page.read_text("utf-8")):
            module, _, last = name.rpartition(".")
            assert hasattr(importlib.import_module(module), last), f"{named(page)}: {name}"


def test_every_room_of_public_names_has_a_page():
    text = "".join(page.read_text("utf-8") for page in pages())
    for name in re.findall(r"^```\{pathlens-room\} (\S+)$", text, re.MULTILINE):
        __import__(name)
    import pathlens

    rooms = {*pathlens._HOME.values(), *(f"pathlens.{room}" for room in pathlens._ROOMS)}
    for room in rooms - {"pathlens.errors"}:
        assert f"{{pathlens-room}} {room}\n" in text


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`, three\n[a](#one-two-three) [b](#four) [c](gone.md) [d](https://x.y)\n"
    )
    assert [fault.split("]")[0] for fault in faults(page)] == ["[b", "[c"]
