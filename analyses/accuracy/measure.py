"""Measure finished rows on the test images: accuracy paired with the plain network's, and what paths do.

Usage: PATHLENS_SHARED=../shared python analyses/accuracy/measure.py WORK [ROW ...]

Rows that are kept are measured on their float16 files under analyses/checkpoints, the others on the runs
under WORK. Writes accuracy.csv, path_swaps.csv and layers.csv beside this file; rows that were
measured before are kept unless they are named.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from information import information
from keep import CHECKPOINTS
from run import HERE, folders

from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.decoupling import DecoupledNetwork
from pathlens.probing import path_swap
from pathlens.recorder import planned_images, record
from pathlens.recording.reader import Recording
from pathlens.runs import Run
from pathlens.training.evaluation import in_order, scores_of
from pathlens.training.loading import LoadedRun, load_run

STATE_IMAGES = {"cifar10": 2000, "tinyimagenet20": 800, "flowers128": 800}
"""Images over which shares of dynamic filters are stated: they grow with their number."""


@torch.no_grad()
def right_answers(loaded: LoadedRun, data: str, *, all_on: bool = False) -> dict[str, Any]:
    """Which test images are right (images,), and the means of MACs and gate density."""
    split = planned_images(loaded, data, "test", None)
    loader, network = ImageLoader(split, loaded.config.view), loaded.network
    right, macs, density = [], [], []
    plan = list(in_order(len(split), 250))
    for positions, batch in zip(plan, loader.batches(plan), strict=True):
        x = normalise(centre(batch.canvas, loader.view))
        if isinstance(network, DecoupledNetwork):
            force = {"*": 1.0} if all_on else None
            output, path = network.with_path(x, responses=False, force=force)
            macs.append(network.cost.macs(path) / network.cost.dense)
            density.append(path.concatenate().mean(dim=1))
        else:
            output = network(x)
        answer = scores_of(output).argmax(1).numpy()
        right.append(answer == np.asarray(split.labels)[list(positions)])
    mean = [float(torch.cat(values).mean()) if values else 1.0 for values in (macs, density)]
    return {"right": np.concatenate(right), "macs": mean[0], "density": mean[1]}


def paired(plain: Any, own: Any) -> dict[str, float]:
    """Accuracy lost against the plain network on the same images, with its 95 % interval."""
    lost = plain.astype(float) - own.astype(float)
    half = 1.96 * lost.std(ddof=1) / np.sqrt(len(lost))
    return {"lost": lost.mean(), "lost_low": lost.mean() - half, "lost_high": lost.mean() + half}


def accuracy_row(row: dict[str, Any], run: Run, plain: Run | None, data: str) -> dict[str, Any]:
    """One line of accuracy.csv."""
    loaded = load_run(run)
    own = right_answers(loaded, data)
    found = {
        "row": row["name"],
        "images": len(own["right"]),
        "accuracy": own["right"].mean(),
        "macs_share": own["macs"],
        "gate_density": own["density"],
        "plain": "" if plain is None else plain.name,
    }
    if plain is not None:
        found |= paired(right_answers(load_run(plain), data)["right"], own["right"])
        found["all_gates_on"] = right_answers(loaded, data, all_on=True)["right"].mean()
    return {**found, "kept": str(CHECKPOINTS) in str(run.folder)}


def layer_rows(name: str, recording: Recording, images: int) -> pd.DataFrame:
    """States and information of every layer of a recording."""
    labels = recording.images["label"].to_numpy()
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(labels))[:images])
    rows = []
    for layer in recording.layers:
        bits = recording.bits(layer.name)
        rates = bits[chosen].mean(axis=0)
        bound, of_rate = information(bits, labels)
        rows.append(
            {
                "row": name,
                "layer": layer.index,
                "name": layer.name,
                "filters": layer.filters,
                "images": len(chosen),
                "on_rate": rates.mean(),
                "dynamic": ((rates > 0) & (rates < 1)).mean(),
                "mute": (rates == 0).mean(),
                "high_energy": (rates == 1).mean(),
                "class_information_bits": bound,
                "of_on_rate_bits": of_rate,
            }
        )
    return pd.DataFrame(rows)


def update(file: str, frame: pd.DataFrame) -> None:
    """Replace the rows of a table that were measured anew."""
    target = HERE / file
    if target.exists():
        before = pd.read_csv(target)
        frame = pd.concat([before[~before["row"].isin(frame["row"])], frame])
    frame.round(4).to_csv(target, index=False, lineterminator="\n")


def main(work: Path, wanted: list[str]) -> None:
    """Measure what is finished and not yet in the tables, or what is named."""
    rows = {row["name"]: row for row in tomllib.loads((HERE / "rows.toml").read_text())["row"]}
    done = HERE / "accuracy.csv"
    known = set(pd.read_csv(done)["row"]) if done.exists() else set()
    for name, row in rows.items():
        run = _folder(work, name)
        if not run.finished or (name not in wanted if wanted else name in known):
            continue
        print(name, flush=True)
        data = row["data"].format(**folders(work))
        plain = None if row.get("plain") else _folder(work, row["compare"])
        update("accuracy.csv", pd.DataFrame([accuracy_row(row, run, plain, data)]))
        if plain is None:
            continue
        recording = record(run, data=data, progress=False)
        swaps = path_swap(recording, data=data, progress=False).frame
        update("path_swaps.csv", swaps.assign(row=name))
        update("layers.csv", layer_rows(name, recording, STATE_IMAGES[name.split("-")[1]]))


def _folder(work: Path, name: str) -> Run:
    kept = Run(CHECKPOINTS / name)
    return kept if kept.finished else Run(work / "runs" / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
