import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FORMAT = ROOT / "pathlens" / "recording" / "FORMAT.md"
OUTSIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", FORMAT]

_FENCE = re.compile(r"^(`{3,}|~{3,})(.*)$")
_CAPTION = re.compile(r"^:caption: *(\S+)\s*\n+")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int

    @property
    def file(self):
        found = _CAPTION.match(self.text)
        return found.group(1) if found else None

    @property
    def code(self):
        return _CAPTION.sub("", self.text)


def pages():
    return sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


def blocks(text):
    found, fence, start, lines, language = [], None, 0, [], ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if fence is None and mark:
            fence, start, lines = mark.group(1), number, []
            language = mark.group(2).strip().removeprefix("{code-block}").strip()
        elif fence is not None and line.strip() == fence:
            found.append(Block(language, "\n".join(lines) + "\n", start))
            fence = None
        elif fence is not None:
            lines.append(line)
    assert fence is None, f"the fence of line {start} is never closed"
    return found


def prose(text):
    inside, kept = None, []
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if inside is None and mark:
            inside = mark.group(1)
        elif inside is not None and line.strip() == inside:
            inside = None
        elif inside is None and not line.startswith("    "):
            kept.append(line)
    return "\n".join(kept)


def named(page):
    return str(page.relative_to(ROOT))
