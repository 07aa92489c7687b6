"""The README's tables, as text, from what was measured.

python analyses/benchmarks/skipping/markdown.py [speed.csv ...] [real.csv]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent


def _share(row: Mapping[str, Any], limit: str) -> str:
    share = row[f"share of the {limit}'s speed"]
    return f"{share:.2f}"


SPEED = {
    "dense, ms": lambda r: f"{min(r['dense, ms'], r['dense, channels last, ms']):.1f}",
    "dense, packed": lambda r: f"{r['dense, packed, ms']:.1f}",
    "masked": lambda r: f"{r['masked, ms']:.1f}",
    "skipping": lambda r: f"{r['skipping, ms']:.1f}",
    "calibrated": lambda r: f"{r['skipping, calibrated, ms']:.1f} ({r['mode']})",
    "cut": lambda r: f"{r['cut, ms']:.1f}",
    "packed cut": lambda r: f"{r['cut, packed, ms']:.1f}",
    "skipping over dense": lambda r: f"{r['speed-up over dense']:.2f}",
    "of the cut": lambda r: _share(r, "cut"),
    "of the packed cut": lambda r: _share(r, "packed cut"),
    "gating over dense": lambda r: f"{r['gating over dense']:.1%}",
    "calibrated over dense (time)": lambda r: f"{r['calibrated over dense']:.2f}",
    "over dense and gating": lambda r: f"{r['calibrated over dense and gating']:.2f}",
    "over masked": lambda r: f"{r['calibrated over masked']:.2f}",
}
REAL = {
    "ms": lambda r: f"{r['ms']:.2f}",
    "times as fast as dense": lambda r: f"{r['speedup']:.2f}",
    "how": lambda r: r["mode"] if isinstance(r["mode"], str) else "",
}


def lines(rows: Iterable[Mapping[str, Any]], names: Mapping[str, Any]) -> list[str]:
    """A table in Markdown.

    Args:
        rows: What was measured.
        names: Column to what it shows of a row.
    """
    made = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return made + [f"| {' | '.join(show(row) for show in names.values())} |" for row in rows]


def table(measured: pd.DataFrame) -> list[str]:
    """The table of a file of speed.py or real.py."""
    if "run" in measured:
        first = {"run": lambda r: r["run"], "images": lambda r: str(r["batch"])}
        return lines(measured.to_dict("records"), first | {"form": lambda r: r["form"]} | REAL)
    first = {
        "network": lambda r: f"{r['network']}, {r['px']} px",
        "filters on": lambda r: f"{r['density']:.0%}",
    }
    return lines(measured.to_dict("records"), first | SPEED)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[HERE / "speed.csv"])
    for file in parser.parse_args().files:
        print(f"{file.name}:", *table(pd.read_csv(file)), "", sep="\n")


if __name__ == "__main__":
    main()
