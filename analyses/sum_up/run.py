"""One table of what decoupling changes: codes and networks as rows, every measure as a column.

Usage: PATHLENS_SHARED=../shared python analyses/sum_up/run.py WORK [ROW ...] [--runs FOLDER]
           [--out FOLDER]
       python analyses/sum_up/run.py --markdown

Measures the rows of rows.toml, or those that are named, as far as they are not measured in WORK with the
same settings and checkpoints (a file a row and group of measures). Writes sum_up.csv (a row a measure,
with intervals and the reason where there is none) and table.csv (the table) beside this file, and prints
it; what was not measured in WORK keeps what sum_up.csv says of it. Runs that are not kept are taken from
FOLDER, where `analyses/accuracy/run.py` trained them (`runs` in its own working folder). A row whose run
is not there is told, and makes the exit code 1. `--markdown` prints the table of README.md, from
table.csv.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "path_structure"))

import measures as group  # noqa: E402
from attacked import MEASURES as DETECTION  # noqa: E402
from attacked import attacked_images, detection  # noqa: E402
from attacked import recorded as recorded_attack  # noqa: E402
from recordings import images_of, own_paths, plain_codes  # noqa: E402
from shared_work import CHECKPOINTS, SHARED, borrowed, check_names  # noqa: E402
from summary import markdown, write_tables  # noqa: E402

from pathlens.analysis.baselines import matched  # noqa: E402
from pathlens.concept_tables.counts import build_counts  # noqa: E402
from pathlens.files import file_hash, read_json, write_json  # noqa: E402
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


DECIDED_BY = {
    "states": ("state_images",),
    "information": ("information_images",),
    "clusters": ("cluster_images",),
    "concepts": ("concept_layers",),
    "detection": ("attack", "attacked_images", "detector"),
}
"""Settings that decide each group that is measured here; costs are those of the accuracy study."""
DECIDE_ALL = ("codes", "rates_images", "seed")
NOT_TRAINED = "this run was not trained yet"
NOT_MEASURED = "not measured yet"


def main(work: Path, wanted: list[str], runs: Path, target: Path) -> int:
    """Measure what is missing, and write the tables; the exit code, 1 if a row cannot be made."""
    study = tomllib.loads((HERE / "rows.toml").read_text("utf-8"))
    settings, listed = study["settings"], study["row"]
    check_names(wanted, [row["name"] for row in listed])
    rows, absent = {}, []
    for row in listed:
        name, source, place = row["name"], source_of(row, runs), work / "found" / row["name"]
        known = earlier(
            name, target / "sum_up.csv", NOT_TRAINED if source is None else NOT_MEASURED
        )
        if source is not None:
            asked = asked_of(row, settings, source)
            if not wanted or name in wanted:
                print(name, flush=True)
                copies = Row(row, settings, source, work, images_of("cifar10", work))
                known["cost"] = measure(copies, place, asked)
            known |= kept(place, asked)
        elif not wanted or name in wanted:
            absent.append(name)
        rows[name] = known
    write_tables(rows, {row["name"]: row["what"] for row in listed}, list(GROUPS), target)
    print(markdown(pd.read_csv(target / "table.csv")))
    for name in absent:
        print(f"{name}: no finished run in {CHECKPOINTS} or {runs}: train it by accuracy/run.py.")
    return 1 if absent else 0


def asked_of(
    row: dict[str, Any], settings: dict[str, Any], source: Path
) -> dict[str, dict[str, Any]]:
    """All that decides each group of a row, in plain JSON values.

    Args:
        row: As rows.toml has it.
        settings: Those of rows.toml.
        source: Folder of the row's run.
    """
    runs = [source, CHECKPOINTS / row["plain"]]
    runs += [CHECKPOINTS / settings["reference"]] if "code" in row else []
    common = {
        "code": row.get("code"),
        "checkpoints": [file_hash(run / "checkpoint.pt") for run in runs],
    }
    return {
        group: {**common, **{name: settings[name] for name in (*DECIDE_ALL, *own)}}
        for group, own in DECIDED_BY.items()
    }


def source_of(row: dict[str, Any], runs: Path) -> Path | None:
    """Folder of the finished run of a row: the kept one, else the trained one; None without one."""
    name = row["plain"] if "code" in row else row["name"]
    for folder in (CHECKPOINTS / name, runs / name):
        if Run(folder).finished:
            return folder
    return None


def earlier(name: str, table: Path, reason: str) -> dict[str, group.Measures]:
    """What the table says of a row; of groups without a value in a row without any, the reason.

    Args:
        name: Of the row.
        table: The file sum_up.csv, which need not be there.
        reason: Why there is nothing.
    """
    before = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=["row", "value"])
    rows = before[before["row"] == name]
    if rows["value"].isna().all():
        return {one: group.missing(measures, reason) for one, measures in GROUPS.items()}
    columns = ["measure", "code", "value", "low", "high", "images", "reason"]
    filled = rows.astype(object).assign(reason=rows["reason"].astype(object).fillna(""))
    filled = filled.where(filled.notna(), None)
    found = {one: filled.loc[rows["group"] == one, columns].to_dict("records") for one in GROUPS}
    return {one: known or group.missing(GROUPS[one], reason) for one, known in found.items()}


def kept(place: Path, asked: dict[str, dict[str, Any]]) -> dict[str, group.Measures]:
    """The groups of a row that have been measured as they are asked for now."""
    files = {name: place / f"{name}.json" for name in asked}
    held = {name: read_json(file) for name, file in files.items() if file.exists()}
    return {name: one["rows"] for name, one in held.items() if one["asked"] == asked[name]}


class Row:
    """A row with its runs, copied, and its recordings, made when asked for."""

    def __init__(
        self, row: dict[str, Any], settings: dict[str, Any], source: Path, work: Path, images: Path
    ) -> None:
        self.name, self.settings, self.images = row["name"], settings, images
        self.code: str | None = row.get("code")
        self.plain_name = row["plain"]
        folders = (source, CHECKPOINTS / row["plain"], CHECKPOINTS / settings["reference"])
        self.run, self.plain, self.reference = (
            borrowed(folder, work / "runs" / folder.name, images) for folder in folders
        )

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


def measure(row: Row, place: Path, asked: dict[str, dict[str, Any]]) -> group.Measures:
    """Measure the groups of a row that are not there; its costs, which are always read anew."""
    there = kept(place, asked)
    for name, make in makers(row).items():
        if name not in there:
            write_json(place / f"{name}.json", {"asked": asked[name], "rows": make()})
    return group.cost(row.name, row.plain_name, routed=row.code is None)


def makers(row: Row) -> dict[str, Callable[[], group.Measures]]:
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
    parser.add_argument("work", type=Path, nargs="?", metavar="WORK")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure only these")
    parser.add_argument("--runs", type=Path, help="default: WORK/runs")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the tables")
    parser.add_argument("--markdown", action="store_true", help="print the table, measure nothing")
    asked = parser.parse_args()
    if asked.markdown:
        print(markdown(pd.read_csv(asked.out / "table.csv")))
        sys.exit(0)
    if asked.work is None:
        parser.error("WORK is needed, a folder to work in")
    place = asked.work.resolve()
    sys.exit(main(place, asked.rows, (asked.runs or place / "runs").resolve(), asked.out))
