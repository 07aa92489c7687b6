"""The whole road in minutes: scenes, two networks, their paths, whether these matter, a page."""

from __future__ import annotations

from pathlib import Path

from pathlens.probing import probe
from pathlens.recorder import record
from pathlens.reporting import report
from pathlens.training import train

MODEL, DATA = "small_cnn", "scenes"
PLAIN_EPOCHS, DECOUPLED_EPOCHS = 16, 16
PLAIN_BATCH = 32
"""Images a step, and with them the learning rate: at twice as many, training from scratch stays for
most of its epochs where it began, how long is a matter of chance."""

PROBED = 200
"""Images on which filters are switched off."""


def run_demo(*, seed: int = 0) -> Path:
    """Run the demo in the runs `demo-plain` and `demo`; what is finished already is kept.

    Returns:
        The path of the page.

    Raises:
        PathLensError: If the disk is full, or on Ctrl-C; run again to go on.
    """
    print("1/5  A plain network learns the scenes")
    train(
        MODEL,
        DATA,
        plain=True,
        epochs=PLAIN_EPOCHS,
        batch_size=PLAIN_BATCH,
        run="demo-plain",
        seed=seed,
    )
    print("2/5  Decoupled: from it and by it, with gating modules and half the multiply-adds")
    train(
        MODEL,
        DATA,
        start_from="demo-plain",
        epochs=DECOUPLED_EPOCHS,
        run="demo",
        seed=seed,
    )
    print("3/5  The path of every test image")
    recording = record("demo")
    print("4/5  Do the paths matter? Other paths, and filters switched off")
    for found in probe(recording.folder, images=PROBED, seed=seed):
        print(found)
    print("5/5  The page")
    return report(recording.folder)
