"""Trainings in processes of their own that are killed at random moments."""

import multiprocessing
import os
import shutil
import threading
import time

import numpy as np

from pathlens.runs import Run


def context():
    """Processes that start in milliseconds: forked from one that has imported everything."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(
        ["pathlens.training", "pathlens.datasets.digits", "sklearn.datasets"]
    )
    return found


def work(root, settings):
    os.environ["PATHLENS_RUNS"] = str(root)
    from tqdm import tqdm

    from pathlens.training import train

    # The lock of the progress bars is shared by forked processes: one killed while it holds the lock
    # would block all that follow.
    tqdm.set_lock(threading.RLock())
    train(**settings)


def train_through_kills(root, settings, seconds, hits, seed):
    """Train until the run is finished, killed at random moments within so many seconds.

    Returns:
        The run; at least `hits` kills came between its first checkpoint and its end.
    """
    rng = np.random.default_rng(seed)
    run = Run(root / settings["run"])
    while hits:
        process = context().Process(target=work, args=(root, settings))
        process.start()
        process.join(rng.uniform(0, seconds))
        process.kill()
        process.join()
        if run.finished:
            shutil.rmtree(run.folder)  # it came too late: from the beginning
        elif run.checkpoint.exists():
            hits -= 1
    process = context().Process(target=work, args=(root, settings))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    return run


def time_of(root, settings):
    """Seconds that a training takes in a process of its own, once all is imported."""
    first = context().Process(target=print)
    first.start()
    first.join(120)
    process = context().Process(target=work, args=(root, settings))
    begin = time.monotonic()
    process.start()
    process.join(120)
    assert process.exitcode == 0
    return time.monotonic() - begin
