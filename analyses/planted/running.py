"""Making the rows of a study that its table does not have yet, in one process or several."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pathlens.files import write_text

HERE = Path(__file__).parent
Rows = list[dict[str, Any]]


def options(description: str | None, runs: int) -> argparse.Namespace:
    """What every study is asked.

    Args:
        description: Of the study.
        runs: Runs of each setting if nothing else is asked for.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=runs, help="of each setting")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the table")
    return parser.parse_args()


def rng_of(job: Any) -> np.random.Generator:
    """Source of chance of one job: the same for equal jobs, whatever else is run."""
    words = "|".join(f"{key}={value}" for key, value in asdict(job).items())
    return np.random.default_rng(list(f"{type(job).__qualname__}|{words}".encode()))


def run_missing(
    table: Path, jobs: Sequence[Any], measure: Callable[[Any], Rows], processes: int = 1
) -> pd.DataFrame:
    """Do the jobs that the table has no rows of, and add their rows; the whole table.

    Rows are in the order of the jobs however the work was divided or interrupted; rows of jobs that
    were not asked for stay behind them.

    Args:
        table: CSV file whose first columns are the fields of a job.
        jobs: Frozen dataclasses; equal fields are the same job.
        measure: What a job gives: rows without its fields.
        processes: How many work at a time.
    """
    keys = [field.name for field in fields(jobs[0])]
    rows = pd.read_csv(table).to_dict("records") if table.exists() else []
    done = {_key(row, keys) for row in rows}
    missing = [job for job in jobs if _key(asdict(job), keys) not in done]
    order = {_key(asdict(job), keys): place for place, job in enumerate(jobs)}
    for job, found in tqdm(_done(missing, measure, processes), total=len(missing), desc=table.stem):
        rows += [{**asdict(job), **row} for row in found]
        # Written whole each time: a study that is killed has lost the job it was at.
        _write(table, rows)
    rows.sort(key=lambda row: order.get(_key(row, keys), len(order)))
    return _write(table, rows)


def _done(
    jobs: Sequence[Any], measure: Callable[[Any], Rows], processes: int
) -> Iterator[tuple[Any, Rows]]:
    if processes == 1:
        yield from ((job, measure(job)) for job in jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from zip(jobs, pool.map(measure, jobs), strict=True)


def _key(row: dict[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in keys)


def _write(table: Path, rows: Rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    write_text(table, frame.to_csv(index=False, float_format="%.5g", lineterminator="\n"))
    return frame
