"""One table of what decoupling changes: codes and networks as rows, every measure as a column.

Usage: PATHLENS_SHARED=../shared python analyses/sum_up/run.py WORK [ROW ...] [--runs FOLDER]

Measures what rows.toml lists and is not in WORK yet (a file a row and group of measures), then
writes sum_up.csv (a row a measure, with intervals and the reason where there is none) and table.csv
(the table) beside this file, and prints it. Runs that are not kept are taken from FOLDER, where
`analyses/accuracy/run.py` trained them (`runs` in its own working folder). A run that is not there keeps
what sum_up.csv says of it; one that was never measured is left out with that reason.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "path_structure"))

import measures as group  # noqa: E402
from attacked import MEASURES as DETECTION  # noqa: E402
from attacked import attacked_images, detection  # noqa: E402
from attacked import recorded as recorded_attack  # noqa: E402
from recordings import (  # noqa: E402
    CHECKPOINTS,
    SHARED,
    borrowed,
    images_of,
    own_paths,
    plain_codes,
)
from summary import markdown, wide, write_tables  # noqa: E402

from pathlens.analysis.baselines import matched  # noqa: E402
from pathlens.concept_tables.counts import build_counts  # noqa: E402
from pathlens.files import read_json, write_json  # noqa: E402
from pathlens.recording import Recording  # noqa: E402
from pathlens.runs import Run  # noqa: E402

GROUPS = {
    "cost": (*group.COST, *group.SWAPS),
    "states": group.STATES,
    "information": group.INFORMATION,
    "clusters": group.CLUSTERS,
    "concepts": group.CONCEPTS,
    "detection": DETECTION,
}
"""Groups of measures, in the order of the table."""


def main(work: Path, wanted: list[str], runs: Path, target: Path) -> None:
    """Measure what is missing, and write the tables."""
    study = tomllib.loads((HERE / "rows.toml").read_text("utf-8"))
    images = images_of("cifar10", work)
    rows = {}
    for row in study["row"]:
        place = work / "found" / row["name"]
        source = source_of(row, runs)
        if source is None:
            rows[row["name"]] = earlier(row["name"], target / "sum_up.csv")
            continue
        if not wanted or row["name"] in wanted:
            print(row["name"], flush=True)
            measure(_Row(row, study["settings"], source, work, images), place)
        rows[row["name"]] = kept(place)
    named = {row["name"]: row["what"] for row in study["row"]}
    table = write_tables(rows, named, list(GROUPS), target)
    print(markdown(wide(table)))


def source_of(row: dict[str, Any], runs: Path) -> Path | None:
    """Folder of the finished run of a row: the kept one, else the trained one; None without one."""
    name = row["plain"] if "code" in row else row["name"]
    for folder in (CHECKPOINTS / name, runs / name):
        if Run(folder).finished:
            return folder
    return None


def earlier(name: str, table: Path) -> dict[str, group.Measures]:
    """What the table says of a row whose run is not there; else nothing, with the reason."""
    before = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=["row", "value"])
    rows = before[before["row"] == name]
    if rows["value"].isna().all():
        reason = "this run was not trained yet"
        return {one: group.missing(measures, reason) for one, measures in GROUPS.items()}
    columns = ["measure", "code", "value", "low", "high", "images", "reason"]
    filled = rows.assign(reason=rows["reason"].fillna("")).astype(object)
    filled = filled.where(filled.notna(), None)
    return {one: filled.loc[rows["group"] == one, columns].to_dict("records") for one in GROUPS}


def kept(place: Path) -> dict[str, group.Measures]:
    """The groups of a row that have been measured; the others are not measured yet."""
    found = {}
    for name, measures in GROUPS.items():
        file = place / f"{name}.json"
        content: Any = read_json(file) if file.exists() else None
        found[name] = content or group.missing(measures, "not measured yet")
    return found


class _Row:
    """A row with its runs, copied, and its recordings, made when asked for."""

    def __init__(
        self, row: dict[str, Any], settings: dict[str, Any], source: Path, work: Path, images: Path
    ) -> None:
        self.name, self.settings, self.images = row["name"], settings, images
        self.code: str | None = row.get("code")
        self.plain_name = row["plain"]
        self.run = borrowed(source, work, images)
        self.plain = borrowed(CHECKPOINTS / row["plain"], work, images)
        self.reference = borrowed(CHECKPOINTS / settings["reference"], work, images)

    def own(self) -> Recording:
        """The codes of the test images."""
        if self.code is None:
            return own_paths(self.run, self.images)
        return self._coded(self.code, self.reference)

    def codes(self) -> dict[str, Any]:
        """The row's own codes; beside paths the plain network's at the same on-rates."""
        own = self.own()
        names = [] if self.code else self.settings["codes"]
        return matched(own, {name: self._coded(name, self.run) for name in names})

    def attacked(self) -> Recording:
        """The codes of attacked images."""
        altered = attacked_images(self.run, self.settings, self.images)
        if self.code is None:
            return recorded_attack(self.run, altered)
        return recorded_attack(
            self.run,
            altered,
            plain=self.code,
            rates_from=self.reference,
            rates_images=self.settings["rates_images"],
        )

    def _coded(self, code: str, rates_from: Run) -> Recording:
        rates = self.settings["rates_images"]
        return plain_codes(self.plain, code, rates_from, self.images, rates)


def measure(row: _Row, place: Path) -> None:
    """Measure the groups of a row that are not there, but for costs, which are always read anew."""
    cost = group.cost(row.name, row.plain_name, routed=row.code is None)
    write_json(place / "cost.json", cost)
    for name, make in makers(row).items():
        file = place / f"{name}.json"
        if not file.exists():
            write_json(file, make())


def makers(row: _Row) -> dict[str, Callable[[], group.Measures]]:
    """What measures each group of a row."""
    s = row.settings
    seed = s["seed"]
    static = row.code is None and group.is_static(row.own())

    def routed(make: Callable[[], group.Measures], name: str) -> Callable[[], group.Measures]:
        return (lambda: group.missing(GROUPS[name], group.STATIC)) if static else make

    table = SHARED / "data" / "tables" / "cifar10h-counts.npy"
    return {
        "states": lambda: group.states(row.codes(), s["state_images"], seed),
        "information": routed(
            lambda: group.information(row.codes(), s["information_images"], seed), "information"
        ),
        "clusters": routed(
            lambda: group.clusters(row.codes(), s["cluster_images"], seed), "clusters"
        ),
        "concepts": routed(
            lambda: group.concepts(
                row.codes(), build_counts(table, images=row.images), s["concept_layers"], seed
            ),
            "concepts",
        ),
        "detection": routed(lambda: detection(row.own(), row.attacked(), s), "detection"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, metavar="WORK")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure only these")
    parser.add_argument("--runs", type=Path, help="default: WORK/runs")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the tables")
    asked = parser.parse_args()
    place = asked.work.resolve()
    main(place, asked.rows, (asked.runs or place / "runs").resolve(), asked.out)
