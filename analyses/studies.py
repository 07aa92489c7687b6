"""Make the studies whose tables are missing, one after another, each resumed where it stands.

Usage: PATHLENS_SHARED=../shared python analyses/studies.py [WORK] [--only NAME ...] [--force] [--list]

A study is missing if one of the files that it makes is not beside it. Each gets a folder of its own in
WORK (`studies-work` if not given), where trained networks and recordings stay, so that an interrupted
study goes on when the same command is given again. A study that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FILES = "{work}"


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: Its folder below this one.
        commands: What to run, in order: a script in its folder and its arguments. `{work}` stands for
            the study's own folder in WORK, `{study:NAME}` for that of another.
        makes: Files in its folder that the commands make; one that is not there makes the study
            missing.
        minutes: About how long it takes on one core.
        note: What has to be known before.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    makes: tuple[str, ...]
    minutes: int
    note: str = ""

    def missing(self) -> list[str]:
        """The files that are not there."""
        return [name for name in self.makes if not (HERE / self.name / name).is_file()]

    def calls(self, work: Path) -> list[list[str]]:
        """The commands as they are run, with this Python."""
        found = []
        for script, *arguments in self.commands:
            filled = [_filled(one, self.name, work) for one in arguments]
            found.append([sys.executable, str(HERE / self.name / script), *filled])
        return found


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
        ),
        (
            "tables/resnet20-cifar10-50/detection.csv",
            "tables/resnet20-cifar10-50-seed1/detection.csv",
            "tables/resnet20-cifar10-50/adaptive.csv",
            "tables/resnet20-cifar10-50/gradients.csv",
        ),
        180,
    ),
    Study(
        "static_pruning",
        (("run.py", FILES), ("figure.py",)),
        ("accuracy.csv", "speed.csv", "equal.csv"),
        600,
        "needs `pip install --no-deps torch-pruning==1.6.1`; times, so nothing else may run",
    ),
    Study(
        "benchmarks",
        (("training_step.py",), ("skipping/speed.py",), ("skipping/figure.py",)),
        ("training_step.csv", "skipping/speed.csv", "skipping/speed.png"),
        30,
        "times, so nothing else may run; its README names the other benchmarks, one command each",
    ),
    Study(
        "sum_up",
        (("run.py", FILES, "--runs", "{study:accuracy}/runs"),),
        ("sum_up.csv", "table.csv"),
        30,
        "takes runs that are not kept from the folder of accuracy, and its tables",
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
        missing = study.missing()
        state = f"missing: {', '.join(missing)}" if missing else "made"
        lines.append(f"{study.name} ({study.minutes} minutes of one core): {state}")
        lines += [f"  note: {study.note}"] if study.note else []
        lines += [f"    python {_shown(call)}" for call in study.calls(work)]
    return "\n".join(lines)


def _shown(call: list[str]) -> str:
    script, *arguments = call[1:]
    path = Path(script)
    return " ".join([str(path.relative_to(ROOT)), *arguments])


def make(study: Study, work: Path) -> bool:
    """Run the commands of a study up to the first that fails; whether all went well."""
    (work / study.name).mkdir(parents=True, exist_ok=True)
    shared = os.environ.get("PATHLENS_SHARED", str(ROOT.parent / "shared"))
    where = {**os.environ, "PATHLENS_SHARED": str(Path(shared).resolve()), "MPLBACKEND": "Agg"}
    for call in study.calls(work):
        print(f"{study.name}: python {_shown(call)}", flush=True)
        if subprocess.run(call, cwd=ROOT, env=where).returncode:
            return False
    return True


def main(work: Path, only: list[str], *, force: bool) -> int:
    """Make what is missing, or with `force` what is named; the exit code."""
    failed = []
    for study in chosen(only):
        if not force and not study.missing():
            print(f"{study.name}: made", flush=True)
        elif not make(study, work):
            failed.append(study.name)
            print(f"{study.name}: failed; the same command goes on from here", flush=True)
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
