import json
import re
from html.parser import HTMLParser

import pytest

from .conftest import EVIL


class Elements(HTMLParser):
    """All start tags of a page, with their attributes, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self._inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag == "script"

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, content):
        if self._inside:
            self.scripts.append(content)


@pytest.fixture(scope="module")
def text(index):
    return index.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(text):
    return Elements(text)


def test_names_are_text_never_markup(text, elements):
    assert EVIL not in text
    assert "<b>run</b>" not in text
    assert "run small &lt;b&gt;run&lt;/b&gt;" in text
    kinds = [attributes.get("type") for tag, attributes in elements.tags if tag == "script"]
    assert kinds == ["application/json", None]
    data = json.loads(elements.scripts[0])
    assert EVIL in data["classes"]
    assert any(EVIL in str(row) for row in data["sections"]["associations"]["rows"])


def test_nothing_is_loaded_from_elsewhere(text, elements):
    allowed = re.compile(r"#[\w-]+|data:,?.*")
    for tag, attributes in elements.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            if name in attributes:
                assert allowed.fullmatch(attributes[name]), (tag, attributes)
    assert not re.search(r"url\s*\(\s*['\"]?(?!#)|@import|fetch\(|XMLHttpRequest", text)
    policy = next(a["content"] for t, a in elements.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy


def test_every_control_and_figure_has_a_name(elements):
    labelled = {"select", "input", "button"}
    for tag, attributes in elements.tags:
        if tag in labelled:
            assert attributes.get("id") or attributes.get("aria-label"), attributes
        if attributes.get("tabindex") == "0":
            assert attributes.get("aria-label"), attributes


def test_order_of_the_page(text):
    ids = re.findall(r'<section id="(\w+)">', text)
    wanted = (
        "barcode swaps ablations states classes clusters map information traces associations sure"
    )
    assert ids == wanted.split()
    assert text.index("<h1>") < text.index('<section id="barcode">')
    assert text.count("How to read this.") >= len(ids) - 1
    first = text[text.index('id="missing-line"') : text.index('<dl class="tiles">')]
    for card in ("barcode", "example-card", "association-card"):
        assert f'id="{card}"' in first


def test_the_headline_says_what_another_path_costs(text):
    said = (
        "one path for all images at equal cost would lose <strong>12.0 points [10.0, 15.0]</strong>"
    )
    assert said in text
