"""Time of a map and the neighbours that it keeps: our t-SNE and UMAP beside scikit-learn's t-SNE.

python analyses/benchmarks/maps.py RECORDING [--layers 15 18] [--images 2000 10000] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine
from threadpoolctl import threadpool_limits

from pathlens.analysis.mapping.map_quality import kept_by_chance, neighbours_kept
from pathlens.analysis.mapping.maps import unique_rows
from pathlens.analysis.mapping.methods import TSNE, UMAP
from pathlens.analysis.source import Bits, Floats, gather_bits, sample_rows
from pathlens.recording import Recording, open_recording

Method = Callable[[Bits], Floats]


def scikit_learn(paths: Bits) -> Floats:
    """Its t-SNE with its own settings: Barnes-Hut, 1,000 iterations, started like ours."""
    from sklearn.manifold import TSNE as Peer

    made = Peer(init="pca", perplexity=30, random_state=0, n_jobs=1)
    return np.asarray(made.fit_transform(paths.astype(np.float32)), dtype=np.float64)


def methods() -> dict[str, Method]:
    """All that are measured, by name; "usual" are the iterations that openTSNE does by default."""
    usual = TSNE(early=250, late=500)
    return {
        "t-SNE, ours": lambda paths: TSNE().lay_out(paths, 0),
        "t-SNE, ours, usual iterations": lambda paths: usual.lay_out(paths, 0),
        "t-SNE, scikit-learn": scikit_learn,
        "UMAP, ours": lambda paths: UMAP().lay_out(paths, 0),
    }


def warm(method: Method) -> float:
    """Seconds of a first small map: importing and compiling, stated apart."""
    begin = time.process_time()
    method(np.random.default_rng(0).random((300, 64)) < 0.5)
    return time.process_time() - begin


def measure(method: Method, paths: Bits) -> dict[str, object]:
    """Processor seconds and elapsed seconds of one map, and how many neighbours it keeps."""
    begin, started = time.perf_counter(), time.process_time()
    places = method(paths)
    used, elapsed = time.process_time() - started, time.perf_counter() - begin
    return {
        "cpu_s": f"{used:.2f}",
        "elapsed_s": f"{elapsed:.2f}",
        "kept_10": f"{neighbours_kept(paths, places):.4f}",
        "kept_15": f"{neighbours_kept(paths, places, 15):.4f}",
        "chance_10": f"{kept_by_chance(paths, places):.4f}",
    }


def unique_paths(recording: Recording, layer: int, images: int) -> Bits:
    """Different paths of a seeded sample of images in one layer."""
    rows, _ = sample_rows(len(recording), images, 0)
    chosen = [recording.layers.find(layer)]
    return unique_rows(gather_bits(recording, chosen, rows))[0]


def main() -> None:
    """Measure all methods on all layers, print a line each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--layers", type=int, nargs="+", default=[15, 18])
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("maps.csv"))
    asked = parser.parse_args()
    recording, where, rows = (
        open_recording(asked.recording),
        machine(1, "scikit-learn", "openTSNE", "umap-learn"),
        [],
    )
    print(where)
    with threadpool_limits(1):
        for name, method in methods().items():
            first = f"{warm(method):.1f}"
            for images in asked.images:
                for layer in asked.layers:
                    paths = unique_paths(recording, layer, images)
                    case = {"method": name, "layer": layer, "images": images, "paths": len(paths)}
                    rows.append(case | measure(method, paths) | {"first_s": first})
                    print(
                        "  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True
                    )
    with asked.out.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], "machine"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "machine": where} for row in rows)


if __name__ == "__main__":
    main()
