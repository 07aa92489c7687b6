"""Pictures with coloured rectangles, masks of them, and a network whose filters see one colour each."""

import shutil
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from pathlens.datasets.base import ImageSplit
from pathlens.datasets.loader import MEAN, STD, View
from pathlens.decoupling import decouple
from pathlens.probing import MaskFolder
from pathlens.recorder import record
from pathlens.recording import Recording

from .conftest import change_gates

SIDE = 16
VIEW = View(size=SIDE, canvas=SIDE, pad=0)


def rectangle(rng, height, width):
    """A mask of one rectangle of about a quarter of the picture."""
    mask = np.zeros((height, width), dtype=bool)
    top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
    mask[top : top + height // 2, left : left + width // 2] = True
    return mask


def pictures(count, seed=0, height=SIDE, width=SIDE):
    """uint8 (count, height, width, 3), and the masks of red, green and both of every picture."""
    rng = np.random.default_rng(seed)
    images, masks = [], []
    for _ in range(count):
        red, green = rectangle(rng, height, width), rectangle(rng, height, width)
        blue = rng.random((height, width))
        images.append(np.stack([red, green, blue], axis=-1) * 255)
        masks.append({"red": red, "green": green, "both": red & green})
    return np.asarray(images).astype(np.uint8), masks


def split_of(images, masks=None):
    return ImageSplit(
        name="all",
        ids=tuple(f"{i:03d}.png" for i in range(len(images))),
        labels=None,
        classes=(),
        read=lambda position: images[position],
        masks=None if masks is None else lambda position: masks[position],
    )


class Colours(nn.Module):
    """A stem that hands the picture on, and a convolution with a filter a colour."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 3, 1)
        self.seen = nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            # Undo the normalisation: the maps are the colours themselves, 0 to 1.
            self.stem.weight.copy_(torch.diag(torch.tensor(STD))[:, :, None, None])
            self.stem.bias.copy_(torch.tensor(MEAN))
            self.seen.weight.copy_(torch.eye(3)[:, :, None, None])
            self.seen.bias.zero_()

    def forward(self, x):
        return self.head(F.relu(self.seen(self.stem(x))).mean((2, 3)))


def colour_network(off=()):
    """Decoupled, all gates on for every image but those of `off`."""
    network = decouple(Colours().eval(), torch.zeros(1, 3, SIDE, SIDE)).eval()
    with torch.no_grad():
        for gating in network.gating.values():
            for fc in (gating.fc1, gating.fc2):
                fc.weight.zero_()
                fc.bias.fill_(10.0)
            gating.fc2.bias[list(off)] = -10.0
    return network


@dataclass(frozen=True)
class MaskedRun:
    """A recorded run on a folder of pictures with masks.

    `thing` is in the pictures that are routed through filters `pair` of layer `layer`, and is red.
    """

    recording: Recording
    data: Path
    masks: MaskFolder
    concepts: pd.DataFrame
    layer: str
    pair: tuple[int, int]


def record_masked(trained, root, count=120):
    """Record a small decoupled run on pictures, then mask the red rectangles of some of them."""
    shutil.copytree(trained / "gated", root / "runs" / "gated")
    change_gates(root / "runs" / "gated" / "checkpoint.pt")
    images, masks = pictures(count, height=20, width=26)
    images[..., 2] //= 2
    for folder in ("pictures", "masks"):
        (root / folder).mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / "pictures" / f"{number:03d}.png")
    data = root / "pictures"
    recording = record(root / "runs" / "gated", data=data, split="all", progress=False)
    layer, pair = _often_together(recording)
    on = recording.bits(layer)[:, list(pair)].all(axis=1)
    for number, (here, mask) in enumerate(zip(on, masks, strict=True)):
        code = (mask["red"] & here).astype(np.uint8)
        Image.fromarray(code).save(root / "masks" / f"{number:03d}.png")
    (root / "classes.txt").write_text("0 ground\n1 thing\n")
    ids = recording.images["image"]
    table = pd.DataFrame({"image": ids, "concept": np.where(on, "thing", ""), "value": 1.0 * on})
    folder = MaskFolder(root / "masks", root / "classes.txt")
    return MaskedRun(recording, data, folder, table, layer, pair)


def _often_together(recording):
    """The two filters of a layer that are both on, and each alone, for as many images as possible."""
    found = []
    for layer in recording.layers:
        bits = recording.bits(layer.name)
        for a, b in combinations(range(layer.filters), 2):
            both = (bits[:, a] & bits[:, b]).mean()
            least = min(both, bits[:, a].mean() - both, bits[:, b].mean() - both)
            found.append((least, layer.name, (a, b)))
    return max(found)[1:]
