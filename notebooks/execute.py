"""Execute notebooks in place and keep their outputs small.

Usage: python notebooks/execute.py [NAME ...]

NAMEs are beginnings of file names, such as 03; all notebooks without. What a notebook showed before is
overwritten. `PATHLENS_SMALL=1` executes them on the settings of the tests.
"""

from __future__ import annotations

import base64
import copy
import io
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
WIDTHS = (760, 640, 540)
COLOURS = 96
MOST_BYTES = 300_000
_EMBEDDED = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def execute(notebook: Path) -> float:
    """Execute a notebook in its folder, write it back, and return the seconds that took.

    Raises:
        RuntimeError: If its outputs name this machine's folders, or are too large to keep.
    """
    content = nbformat.read(notebook, as_version=4)
    os.environ.pop("MPLBACKEND", None)  # the kernel shows figures by a backend of its own
    began = time.monotonic()
    client = NotebookClient(content, timeout=900, resources={"metadata": {"path": str(HERE)}})
    client.execute()
    seconds = time.monotonic() - began
    content.metadata.pop("widgets", None)
    content.metadata["language_info"] = {"name": "python"}
    for width in WIDTHS:
        text = _written(copy.deepcopy(content), width)
        if len(text) <= MOST_BYTES:
            break
    for private in (str(HERE.parent.resolve()), str(Path.home()) + "/", "/tmp/"):
        if private in text:
            raise RuntimeError(f"{notebook.name} shows {private}: print names instead of places.")
    if len(text) > MOST_BYTES:
        raise RuntimeError(f"{notebook.name} would have {len(text):,} bytes: show less.")
    notebook.write_text(text + "\n", "utf-8")
    return seconds


def _written(content: nbformat.NotebookNode, width: int) -> str:
    for cell in content.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            _shrink(output, width)
    return str(nbformat.writes(content))


def _shrink(output: nbformat.NotebookNode, width: int) -> None:
    """Pictures of fewer pixels and colours; no text beside HTML, which says the same."""
    data = output.get("data", {})
    if "image/png" in data:
        data["image/png"] = _smaller(data["image/png"], width)
    if "text/html" in data:
        data["text/html"] = _EMBEDDED.sub(
            lambda found: f"data:image/png;base64,{_smaller(found[1], width)}", data["text/html"]
        )
    if "text/html" in data or "image/png" in data:
        data.pop("text/plain", None)


def _smaller(encoded: str, width: int) -> str:
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    picture.thumbnail((width, 10 * width), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # The usual median cut loses rare colours, such as those of a colour bar.
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def main() -> None:
    """Execute the notebooks that the command line names."""
    there = sorted(HERE.glob("*.ipynb"))
    wanted = tuple(Path(name).name for name in sys.argv[1:]) or ("",)
    for name in wanted:
        if not any(notebook.name.startswith(name) for notebook in there):
            names = ", ".join(notebook.name for notebook in there)
            sys.exit(f"No notebook begins with {name}; there are {names}.")
    for notebook in there:
        if notebook.name.startswith(wanted):
            print(f"{notebook.name}: {execute(notebook):.0f} s", flush=True)


if __name__ == "__main__":
    main()
