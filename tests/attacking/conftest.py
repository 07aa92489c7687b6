"""One trained run's images, attacked once for several tests."""

import os
import sys

import pytest
import torch

from pathlens.attacking.alteration import Clean, Networks
from pathlens.attacking.classifier import ImageClassifier
from pathlens.decoupling import decouple
from pathlens.models import build_model


@pytest.fixture
def runs(trained, monkeypatch):
    """The folder of runs, where bare names are looked for."""
    monkeypatch.setenv("PATHLENS_RUNS", str(trained))
    return trained


@pytest.fixture
def no_library(monkeypatch):
    """A machine without the attack library."""
    monkeypatch.setitem(sys.modules, "foolbox", None)


def random_network(seed=0, size=16, classes=5):
    """A small decoupled network with random weights and gates that differ between images."""
    torch.manual_seed(seed)
    plain = build_model("small_cnn", classes, 0.5)
    network = decouple(plain, torch.zeros(1, 3, size, size)).eval()
    for parameter in network.gating.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return network


def clean_images(network, count=12, size=16, seed=0):
    """Random 8-bit images, labelled with what the network takes them for."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    labels = ImageClassifier(network).predict(pixels)
    return Clean(pixels, labels, tuple(f"image {i}" for i in range(count)), seed)


def both(network, gates="straight-through"):
    """The network as victim and judge."""
    return Networks(ImageClassifier(network, gates), ImageClassifier(network), 8)


def snapshot(folder):
    """All files of a folder with their bytes."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
