"""Make the studies whose tables are missing, one after another, each resumed where it stands.

Usage: PATHLENS_SHARED=../shared python analyses/studies.py [WORK] [--only NAME ...] [--force] [--list]

A study is missing if one of the files that it makes is not beside it, and made in part if rows that it
lists are not in its table. Each gets a folder of its own in WORK (`studies-work` if not given), where
trained networks and recordings stay, so that an interrupted study goes on when the same command is given
again. A study that fails does not stop the others; the exit code is 1 if one is not whole in the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from listed_rows import Listed  # noqa: E402

ROOT = HERE.parent
FILES = "{work}"
SEVERAL = ("resnet20", "squeezenet1_1", "googlenet", "resnet18")
LARGE = ("vgg16", "resnet18", "resnet50", "squeezenet1_1")
RECORDING = "{study:path_structure}/runs/resnet20-cifar10-50/recordings/paths"


DRAWS = "figure.py"


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: Its folder below this one.
        commands: What to run, in order: a script in its folder and its arguments. `{work}` stands for
            the study's own folder in WORK, `{study:NAME}` for that of another.
        makes: Files in its folder that the commands make; one that is not there or empty makes the
            study missing.
        minutes: About how long it takes on one core.
        note: What has to be known before.
        listed: Its rows, where it can be made in part.
        one_each: Whether each command makes the file of `makes` at its place and nothing else, so that
            those whose file is there are left out (but for figures).
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    makes: tuple[str, ...]
    minutes: int
    note: str = ""
    listed: Listed | None = None
    one_each: bool = False

    def missing(self) -> list[str]:
        """The files that are not there."""
        return [name for name in self.makes if not self._has(name)]

    def absent(self) -> list[str]:
        """Rows that are not there though the files are."""
        if self.listed is None or self.missing():
            return []
        return self.listed.absent(HERE / self.name)

    def state(self) -> str:
        """What is there, in words."""
        missing, absent = self.missing(), self.absent()
        if missing:
            return f"missing: {', '.join(missing)}"
        if absent and self.listed is not None:
            rows = len(self.listed.names(HERE / self.name))
            return f"made in part ({rows - len(absent)} of {rows} rows)"
        return "made"

    def calls(self, work: Path, *, force: bool = True) -> list[list[str]]:
        """The commands as they are run, with this Python; with `force` also those that are not due."""
        commands = self.commands
        if self.one_each and not force:
            pairs = zip(commands, self.makes, strict=True)
            commands = tuple(one for one, file in pairs if not self._has(file) or DRAWS in one[0])
        return [self._call(one, work) for one in commands]

    def _call(self, command: tuple[str, ...], work: Path) -> list[str]:
        script, *arguments = command
        runner = "bash" if script.endswith(".sh") else sys.executable
        filled = [_filled(one, self.name, work) for one in arguments]
        return [runner, str(HERE / self.name / script), *filled]

    def _has(self, name: str) -> bool:
        file = HERE / self.name / name
        return file.is_file() and file.stat().st_size > 0


def _filled(argument: str, name: str, work: Path) -> str:
    head, marked, rest = argument.partition("{study:")
    if marked:
        other, _, tail = rest.partition("}")
        return f"{head}{work / other}{tail}"
    return argument.replace(FILES, str(work / name))


STUDIES = (
    Study(
        "accuracy",
        (("run.py", FILES), ("measure.py", FILES), ("untrained.py", FILES), ("figure.py",)),
        ("accuracy.csv", "path_swaps.csv", "layers.csv", "untrained.csv", "dynamic_by_depth.svg"),
        1500,
        "trains every network of the accuracy study",
        listed=Listed("rows.toml", "row", "accuracy.csv", "row"),
    ),
    Study(
        "road",
        (("run.sh", FILES),),
        ("runs.csv", "path_swaps.csv"),
        60,
    ),
    Study(
        "recording",
        (("kills.py", "--kills", "105", "--seed", "0", "--out", f"{HERE}/recording/kills.csv"),),
        ("kills.csv",),
        10,
    ),
    Study(
        "path_structure",
        (("run.py", FILES),),
        (
            *("states.csv", "depth.csv", "clusters.csv", "classes.csv", "hierarchy.csv"),
            *("pairs.csv", "information.csv", "maps.csv", "states.svg", "clusters.svg"),
            *("hierarchy.svg", "maps_depth.svg", "maps_networks.svg"),
        ),
        30,
        listed=Listed("networks.toml", "network", "states.csv", "network"),
    ),
    Study(
        "planted",
        (
            ("recovery.py",),
            ("chance.py",),
            ("mixed.py",),
            ("beyond_class.py",),
            ("scenes.py", FILES),
            ("tables.py",),
        ),
        (
            *("recovery.csv", "chance.csv", "mixed.csv", "beyond_class.csv"),
            *("scenes.csv", "scenes_concepts.csv", "planted.svg"),
        ),
        90,
    ),
    Study(
        "concepts",
        (("run.py", FILES),),
        tuple(
            f"tables/{name}/associations.csv"
            for name in (
                *("camvid", "weizmann_horses", "tinyimagenet20_boxes"),
                *("tinyimagenet20_superclasses", "cifar10_hierarchy", "cifar10_people"),
                *("cifar10_hierarchy_seed1", "cifar10_people_seed1"),
            )
        ),
        60,
    ),
    Study(
        "shortcut",
        (("run.py", FILES),),
        ("shortcut.csv", "candidates.csv", "combinations.csv", "shortcut.svg"),
        60,
    ),
    Study(
        "adversarial",
        (
            ("run.py", FILES),
            ("run.py", FILES, "--study", "seed1.toml"),
            ("adaptive.py", FILES),
            ("gradients.py", FILES),
            ("cost.py", FILES),
        ),
        (
            "tables/resnet20-cifar10-50/detection.csv",
            "tables/resnet20-cifar10-50-seed1/detection.csv",
            "tables/resnet20-cifar10-50/adaptive.csv",
            "tables/resnet20-cifar10-50/gradients.csv",
            "tables/resnet20-cifar10-50/cost.csv",
        ),
        180,
    ),
    Study(
        "static_pruning",
        (("run.py", FILES), ("figure.py",)),
        ("accuracy.csv", "speed.csv", "equal.csv", "accuracy_and_speed.svg"),
        600,
        "needs `pip install --no-deps torch-pruning==1.6.1`; times, so nothing else may run",
        listed=Listed("rows.toml", "row", "accuracy.csv", "network"),
    ),
    Study(
        "benchmarks",
        (
            ("training_step.py",),
            ("recording_speed.py", "--turns", "5", "--images", "1024"),
            ("recording_size.py",),
            ("report_time.py",),
            ("neighbours.py",),
            ("skipping/speed.py",),
            ("skipping/figure.py",),
            *(
                (
                    *("skipping/speed.py", "--cases", *cases, *what, "--turns", "3"),
                    *("--out", f"{HERE}/benchmarks/skipping/{table}"),
                )
                for table, cases, what in (
                    ("batch8.csv", SEVERAL, ("--batch", "8")),
                    ("batch32.csv", SEVERAL, ("--batch", "32")),
                    ("threads2.csv", LARGE, ("--threads", "2")),
                )
            ),
            ("skipping/where_time_goes.py",),
            ("skipping/real.py", FILES),
            ("maps.py", RECORDING),
            ("associations.py", RECORDING, "--threads", "1", "--peers", "--limit", "120"),
        ),
        (
            *("training_step.csv", "recording_speed.csv", "recording_size.csv"),
            *("report_time.csv", "neighbours.csv", "skipping/speed.csv", "skipping/speed.png"),
            *("skipping/batch8.csv", "skipping/batch32.csv", "skipping/threads2.csv"),
            *("skipping/where_time_goes.csv", "skipping/real.csv"),
            *("maps.csv", "associations.csv"),
        ),
        120,
        "times, so nothing else may run; the last two take a recording of path_structure from WORK, "
        "and the last mlxtend and pysubgroup",
        one_each=True,
    ),
    Study(
        "sum_up",
        (("run.py", FILES, "--runs", "{study:accuracy}/runs"),),
        ("sum_up.csv", "table.csv"),
        30,
        "takes runs that are not kept from the folder of accuracy, and its tables",
        listed=Listed("rows.toml", "row", "sum_up.csv", "row"),
    ),
)
"""The studies in the order in which they are made."""


def chosen(names: list[str]) -> list[Study]:
    """The studies of these names in their order; all for none.

    Raises:
        SystemExit: If there is no such study.
    """
    known = [study.name for study in STUDIES]
    strange = [name for name in names if name not in known]
    if strange:
        raise SystemExit(f"There is no study {strange[0]!r}: give some of {', '.join(known)}.")
    return [study for study in STUDIES if not names or study.name in names]


def listing(studies: list[Study], work: Path) -> str:
    """Each study: what is missing, how long it takes, its commands."""
    lines = []
    for study in studies:
        lines.append(f"{study.name} ({study.minutes} minutes of one core): {study.state()}")
        absent = study.absent()
        lines += [f"  not in its table: {', '.join(absent)}"] if absent else []
        lines += [f"  note: {study.note}"] if study.note else []
        lines += [f"    {_shown(call)}" for call in study.calls(work)]
    return "\n".join(lines)


def _shown(call: list[str]) -> str:
    runner, script, *arguments = call
    program = "bash" if runner == "bash" else "python"
    return " ".join([program, str(Path(script).relative_to(ROOT)), *arguments])


def make(study: Study, work: Path, *, force: bool) -> bool:
    """Run the commands of a study up to the first that fails; whether all went well."""
    (work / study.name).mkdir(parents=True, exist_ok=True)
    shared = os.environ.get("PATHLENS_SHARED", str(ROOT.parent / "shared"))
    places = {"PATHLENS_SHARED": str(Path(shared).resolve()), "PYTHON": sys.executable}
    where = {**os.environ, **places, "MPLBACKEND": "Agg"}
    for call in study.calls(work, force=force):
        print(f"{study.name}: {_shown(call)}", flush=True)
        if subprocess.run(call, cwd=ROOT, env=where).returncode:
            return False
    return True


def main(work: Path, only: list[str], *, force: bool) -> int:
    """Make what is missing, or with `force` what is named; the exit code, 1 if not all is whole."""
    failed = False
    for study in chosen(only):
        well = (study.state() == "made" and not force) or make(study, work, force=force)
        rows = f", without {', '.join(study.absent())}" if study.absent() else ""
        how = "" if well else "failed, the same command goes on from here; "
        print(f"{study.name}: {how}{study.state()}{rows}", flush=True)
        failed = failed or not well or study.state() != "made"
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", nargs="?", type=Path, default=ROOT / "studies-work")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these studies")
    parser.add_argument("--force", action="store_true", help="also those whose tables are there")
    parser.add_argument("--list", action="store_true", help="say what is missing, make nothing")
    asked = parser.parse_args()
    if asked.list:
        print(listing(chosen(asked.only), asked.work.resolve()))
    else:
        sys.exit(main(asked.work.resolve(), asked.only, force=asked.force))
