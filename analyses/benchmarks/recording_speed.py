"""Images a second of a recording: over the bare forward pass, and beside other tools.

python analyses/benchmarks/recording_speed.py [--turns 15] [--images 4096] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import copy
import csv
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import machine
from PIL import Image
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from pathlens.datasets import ImageSplit
from pathlens.datasets.image_files import read_image
from pathlens.datasets.loader import ImageLoader, View, centre, normalise
from pathlens.decoupling import DecoupledNetwork, decouple
from pathlens.models import build_model
from pathlens.recorder.columns import OptionalColumns
from pathlens.recorder.parts import PartRecorder, Paths
from pathlens.recorder.processes import Place
from pathlens.recorder.writing import write_missing
from pathlens.recording.manifest import Plan, image_fingerprint
from pathlens.recording.shards import Shard

CASES = (("resnet20", 32), ("resnet18", 64))
CLASSES = tuple("abcdefghij")
DISTINCT = 1024
"""So many different images are repeated, so that they fit in memory in every form."""

COLUMNS = ("image", "label", "prediction", "confidence", "macs", "content")

Call = Callable[[Path], None]
"""Does its work on all images and leaves its files in a folder that is empty."""


@dataclass(frozen=True)
class Subject:
    """A network and its images.

    Attributes:
        name: Name of the model.
        network: Decoupled, with random weights and about half of the gates on, which is the hardest
            for the size.
        view: How an image becomes its input.
        pixels: uint8 (DISTINCT, size, size, 3).
        folder: The same images as JPEG files.
        images: Number of images of a turn.
        batch: Images a forward pass.
    """

    name: str
    network: DecoupledNetwork
    view: View
    pixels: np.ndarray
    folder: Path
    images: int
    batch: int

    @property
    def plan(self) -> list[range]:
        """Positions of every batch."""
        starts = range(0, self.images, self.batch)
        return [range(start, min(start + self.batch, self.images)) for start in starts]

    def split(self, read: Callable[[int], np.ndarray]) -> ImageSplit:
        """As many images as a turn has, by turns the different ones."""
        ids = tuple(f"test/{CLASSES[i % 10]}/{i:06d}.jpg" for i in range(self.images))
        labels = np.arange(self.images) % len(CLASSES)
        return ImageSplit("test", ids, labels, CLASSES, lambda i: read(i % DISTINCT))

    def in_memory(self) -> ImageSplit:
        """The decoded images."""
        return self.split(self.pixels.__getitem__)

    def in_files(self) -> ImageSplit:
        """The JPEG files."""
        return self.split(lambda i: read_image(self.folder / f"{i}.jpg"))


def subject(name: str, size: int, folder: Path, images: int, batch: int) -> Subject:
    """Draw the images, write them, and build the network."""
    rng = np.random.default_rng(0)
    pixels = np.stack([picture(rng, size) for _ in range(DISTINCT)])
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i}.jpg", quality=90)
    torch.manual_seed(0)
    example = torch.zeros(1, 3, size, size)
    network = decouple(build_model(name, len(CLASSES), 1.0), example).eval()
    view = View.of(size, size)
    with torch.inference_mode():
        spread_gates(network, normalise(canvas(pixels[:batch])))
    return Subject(name, network, view, pixels, folder, images, batch)


def picture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Coarse colours and fine noise, as a photograph has; uint8 (size, size, 3)."""
    coarse = Image.fromarray(rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=float)
    noisy = smooth + rng.normal(0, 8, smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def canvas(pixels: np.ndarray) -> Tensor:
    """uint8 (N, H, W, 3) as uint8 (N, 3, H, W)."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def spread_gates(network: DecoupledNetwork, x: Tensor) -> None:
    """Layer by layer, let every gate be on for half of the images and off for the others."""
    for name in network.layers.names:
        last = network.gating_module(name).fc2
        assert isinstance(last, nn.Linear)
        _, path = network.with_path(x, gates="hard", responses=False)
        last.bias -= path.logits[name].median(dim=0).values


def contenders(made: Subject) -> dict[str, Call]:
    """All that is timed, by name; the first one of each source is what the others are held to."""
    calls: dict[str, Call] = {
        "memory: forward pass alone": bare(made),
        "memory: pathlens record": recorded(made, made.in_memory(), thumbnails=False),
        "memory: pathlens record with thumbnails": recorded(
            made, made.in_memory(), thumbnails=True
        ),
        "memory: hooks and torch.save": hooked(made),
        "memory: torchvision feature extractor and numpy": extracted(made),
    }
    if importlib.util.find_spec("captum") is None:
        print("captum is left out, as it is not installed: pip install captum")
    else:
        calls["memory: captum activation vectors"] = activation_vectors(made)
    return calls | {
        "files: loader and forward pass": loaded(made),
        "files: pathlens record": recorded(made, made.in_files(), thumbnails=False),
        "files: pathlens record with thumbnails": recorded(made, made.in_files(), thumbnails=True),
    }


def prepared(made: Subject) -> list[Tensor]:
    """All batches as the network takes them; equal ones are one tensor."""
    few = list(dict.fromkeys(tuple(i % DISTINCT for i in positions) for positions in made.plan))
    whole = normalise(canvas(made.pixels))
    by_positions = {positions: whole[list(positions)] for positions in few}
    return [by_positions[tuple(i % DISTINCT for i in positions)] for positions in made.plan]


def bare(made: Subject) -> Call:
    """The decoupled forward pass on tensors that are ready, hard gates, nothing kept."""
    batches = prepared(made)

    @torch.inference_mode()
    def run(folder: Path) -> None:
        for x in batches:
            made.network(x)

    return run


def fed(made: Subject) -> Iterator[Tensor]:
    """Batches for other tools, from the decoded images, through the loader that we use."""
    loader = ImageLoader(made.in_memory(), made.view, cache_bytes=0)
    for batch in loader.batches(made.plan):
        yield normalise(centre(batch.canvas, made.view))


def loaded(made: Subject) -> Call:
    """The loader and the forward pass; the result is thrown away."""

    @torch.inference_mode()
    def run(folder: Path) -> None:
        loader = ImageLoader(made.in_files(), made.view, cache_bytes=0)
        for batch in loader.batches(made.plan):
            made.network(normalise(centre(batch.canvas, made.view)))

    return run


def recorded(made: Subject, split: ImageSplit, *, thumbnails: bool) -> Call:
    """All that `record()` does from its first image to the finished, opened recording."""
    plan = Plan(
        checkpoint="a" * 64,
        model=made.name,
        layers=made.network.layers,
        images=len(split),
        fingerprint=image_fingerprint(split.ids, split.labels),
        columns=COLUMNS,
        thumbnails=thumbnails,
        classes=CLASSES,
        transform=made.view.to_json(),
        macs_dense=made.network.cost.dense,
    )
    example = torch.zeros(1, 3, made.view.size, made.view.size)
    columns = OptionalColumns((), made.network, len(CLASSES), example)

    def run(folder: Path) -> None:
        coder = Paths(made.network)
        recorder = PartRecorder(coder, split, made.view, "cpu", made.batch, columns)
        write_missing(
            folder / "recording",
            plan,
            recorder,
            place=Place(Shard(), "cpu"),
            changed=False,
            progress=False,
            say=lambda line: None,
        )

    return run


def hooked(made: Subject) -> Call:
    """Forward hooks that pool every gated layer's output to float16; predictions; `torch.save`."""
    network = copy.deepcopy(made.network)
    kept: dict[str, list[Tensor]] = {name: [] for name in network.layers.names}

    def keeping(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            kept[name].append(output.mean(dim=(2, 3)).half())

        return keep

    for name in network.layers.names:
        network.model.get_submodule(name).register_forward_hook(keeping(name))

    @torch.inference_mode()
    def run(folder: Path) -> None:
        predictions = [network(x).argmax(dim=1) for x in fed(made)]
        torch.save(torch.cat(predictions), folder / "prediction.pt")
        for name, values in kept.items():
            torch.save(torch.cat(values), folder / f"{name}.pt")
            values.clear()

    return run


def extracted(made: Subject) -> Call:
    """The same with torchvision's feature extractor in the network's place, and `numpy.save`."""
    network = copy.deepcopy(made.network)
    names = network.layers.names
    last = get_graph_node_names(network.model)[1][-1]
    network.model = create_feature_extractor(network.model, [*names, last])
    network.eval()

    @torch.inference_mode()
    def run(folder: Path) -> None:
        kept: dict[str, list[np.ndarray]] = {name: [] for name in [*names, "prediction"]}
        for x in fed(made):
            outputs = network(x)
            kept["prediction"].append(outputs.pop(last).argmax(dim=1).numpy())
            for name, output in outputs.items():
                kept[name].append(output.mean(dim=(2, 3)).half().numpy())
        for name, values in kept.items():
            np.save(folder / f"{name}.npy", np.concatenate(values))

    return run


def activation_vectors(made: Subject) -> Call:
    """Captum's, of the gating modules: their logits say as much as the bits, and are small."""
    from captum._utils.av import AV

    layers = ["gating." + name for name in made.network.gating]

    def run(folder: Path) -> None:
        batches = ((x,) for x in fed(made))
        AV.generate_dataset_activations(str(folder), made.network, "model", layers, batches)

    return run


def timed(call: Call, clock: Callable[[], float]) -> tuple[float, int]:
    """Seconds that it takes and bytes that it leaves, thumbnails apart."""
    with tempfile.TemporaryDirectory() as place:
        begin = clock()
        call(Path(place))
        took = clock() - begin
        files = [path for path in Path(place).rglob("*") if path.is_file()]
        return took, sum(x.stat().st_size for x in files if not x.name.startswith("thumb"))


def measure(made: Subject, turns: int, clock: Callable[[], float]) -> list[dict[str, object]]:
    """All contenders in turn, each turn beginning with another one."""
    calls = contenders(made)
    names = list(calls)
    sizes = {name: timed(call, clock)[1] for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(timed(calls[name], clock)[0])
    return [row(made, name, times, sizes[name]) for name in names]


def row(made: Subject, name: str, times: dict[str, list[float]], size: int) -> dict[str, object]:
    """Rates with quartiles; the share is that of the forward pass in the same turn."""
    source, _, what = name.partition(": ")
    reference = next(known for known in times if known.startswith(source))
    low, middle, high = np.quantile(made.images / np.array(times[name]), [0.25, 0.5, 0.75])
    shares = np.array(times[reference]) / np.array(times[name])
    share = np.quantile(shares, [0.25, 0.5, 0.75])
    filters = sum(layer.filters for layer in made.network.layers)
    return {
        "model": made.name,
        "px": made.view.size,
        "source": source,
        "what": what,
        "images_per_s": f"{middle:.0f}",
        "images_per_s_q1": f"{low:.0f}",
        "images_per_s_q3": f"{high:.0f}",
        "share_of_forward": f"{share[1]:.3f}",
        "share_q1": f"{share[0]:.3f}",
        "share_q3": f"{share[2]:.3f}",
        "bytes_an_image": f"{size / made.images:.1f}",
        "bytes_beside_packed_bits": f"{size / made.images - packed(made):.1f}" if size else "",
        "times_smaller_than_float16": f"{2 * filters * made.images / size:.1f}" if size else "",
    }


def packed(made: Subject) -> int:
    """Bytes of an image's packed bits."""
    return sum(-(-layer.filters // 8) for layer in made.network.layers)


def settle_allocator() -> None:
    """Start again with an allocator that keeps its memory.

    Otherwise page faults decide: two runs of the same command differed by a sixth, in either direction.
    """
    wanted = {
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TOP_PAD_": "268435456",
    }
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def main() -> None:
    """Measure all cases, print a line each, and write the table."""
    settle_allocator()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--images", type=int, default=4096, help="images of a turn")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--cases", nargs="*", default=[name for name, _ in CASES])
    parser.add_argument(
        "--cpu-time", action="store_true", help="time of all threads, for a machine that is busy"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("recording_speed.csv"))
    asked = parser.parse_args()
    clock = time.process_time if asked.cpu_time else time.perf_counter
    about = {
        "images": asked.images,
        "batch": asked.batch,
        "turns": asked.turns,
        "clock": "processor time" if asked.cpu_time else "wall",
        "machine": machine(torch.get_num_threads(), "torch"),
    }
    print(about["machine"])
    rows = []
    for name, size in CASES:
        if name not in asked.cases:
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = subject(name, size, Path(folder), asked.images, asked.batch)
            for entry in measure(made, asked.turns, clock):
                print("  ".join(f"{key} {value}" for key, value in entry.items()), flush=True)
                rows.append(entry | about)
    with asked.out.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
