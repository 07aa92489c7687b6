"""PathLens: how a convolutional network computes, one path of filters for every image.

The public names load what they need when they are first used, so that `import pathlens` is quick and
the analysis side works without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pathlens._version import __version__

if TYPE_CHECKING:
    from pathlens import analysis, attacking, detection, probing
    from pathlens.decoupling import DecoupledNetwork, decouple
    from pathlens.deploying import cut
    from pathlens.errors import PathLensError
    from pathlens.exploring import browse
    from pathlens.recorder import record
    from pathlens.recording import Recording, open_recording, write_recording
    from pathlens.reporting import report
    from pathlens.skipping import SkippingNetwork, skip
    from pathlens.training import load, train

_HOME = {
    "DecoupledNetwork": "pathlens.decoupling",
    "PathLensError": "pathlens.errors",
    "Recording": "pathlens.recording",
    "SkippingNetwork": "pathlens.skipping",
    "browse": "pathlens.exploring",
    "cut": "pathlens.deploying",
    "decouple": "pathlens.decoupling",
    "load": "pathlens.training",
    "open_recording": "pathlens.recording",
    "record": "pathlens.recorder",
    "report": "pathlens.reporting",
    "skip": "pathlens.skipping",
    "train": "pathlens.training",
    "write_recording": "pathlens.recording",
}

_ROOMS = ("analysis", "attacking", "detection", "probing")

__all__ = [
    "DecoupledNetwork",
    "PathLensError",
    "Recording",
    "SkippingNetwork",
    "__version__",
    "analysis",
    "attacking",
    "browse",
    "cut",
    "decouple",
    "detection",
    "load",
    "open_recording",
    "probing",
    "record",
    "report",
    "skip",
    "train",
    "write_recording",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"pathlens.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'pathlens' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
