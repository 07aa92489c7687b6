"""Print what each decoupled run loses when its images run other paths."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from pathlens.probing import path_swap
from pathlens.recorder import record
from pathlens.runs import all_runs

if __name__ == "__main__":
    frames, skip = [], set(sys.argv[2:])  # runs that are not wanted again
    for run in reversed(all_runs(Path(sys.argv[1]))):
        if run.finished and run.plain is False and run.name not in skip:
            found = path_swap(record(run, progress=False), progress=False).frame
            frames.append(found.assign(run=run.name).round(4))
    print(pd.concat(frames).to_csv(index=False, lineterminator="\n"), end="")
