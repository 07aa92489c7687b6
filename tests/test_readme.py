"""The README's first Python runs as it stands; its training loop is tested in tests/training."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_first_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    assert len(blocks) == 2
    names = {}
    exec(compile(blocks[0], str(README), "exec"), names)
    assert names["output"].shape == (8, 10)
    assert names["off"].shape == (8, 10)
    assert names["plain"](names["x"]).shape == (8, 10)
