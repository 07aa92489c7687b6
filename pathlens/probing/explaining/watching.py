"""What fitted detectors of altered images say of the image that is explained."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path as FilePath
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.path import Path
from pathlens.detection.api import FITTED, fitted_for
from pathlens.detection.data import DetectionData
from pathlens.detection.giveaways import Giveaways, giveaways_of
from pathlens.detection.saving import SavedDetector
from pathlens.errors import PathLensError
from pathlens.probing.explaining.beside import Beside
from pathlens.recorder.penultimate import Features
from pathlens.recording.further import as_float16
from pathlens.recording.reader import Recording
from pathlens.training.loading import LoadedRun


class Watch:
    """Detectors of a run, and the penultimate features of the pass that runs inside the context.

    Args:
        loaded: The run.
        network: Its network, on the device.
        recording: The recording that paths are held against, or None.
        detectors: Folder or JSON file of fitted detectors; those beside the recording for None.

    Raises:
        PathLensError: If detectors are given and there are none, or they are another checkpoint's.
    """

    def __init__(
        self,
        loaded: LoadedRun,
        network: DecoupledNetwork,
        recording: Recording | None,
        detectors: str | FilePath | None,
    ) -> None:
        self._layers, self._classes = network.layers, tuple(loaded.config.classes)
        self._fitted, self._fault = _known(loaded.checkpoint, recording, detectors)
        self._features = None
        if self._fitted:
            self._features = _features(network, loaded.config.view.size)
        self._context: AbstractContextManager[Any] = self._features or nullcontext()

    def __enter__(self) -> None:
        self._context.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def giveaways(
        self, name: str, path: Path, logits: Tensor, by: Beside | None
    ) -> Giveaways | None:
        """What the detectors say; None where there are none.

        Args:
            name: The image's.
            path: Its path, of the pass that ran last inside the context.
            logits: Its class scores (classes,).
            by: Its path beside the recorded ones, which gives the gate rates of its class.
        """
        if not self._fitted:
            return None
        prediction = int(logits.argmax())
        one = DetectionData(
            layers=self._layers,
            classes=self._classes,
            images=pd.DataFrame({"image": [name], "prediction": [prediction]}),
            bits={key: gates.cpu().numpy() > 0.5 for key, gates in path.items()},
            # As they are recorded, so that an image has the score that stands beside its recording.
            scores={k: as_float16(_single(x)).astype(np.float32) for k, x in path.logits.items()},
            features=None if self._features is None else _single(self._features.take()),
            logits=_single(logits[None]),
        )
        return giveaways_of(one, self._fitted, {} if by is None else by.rates)

    def left_out(self, found: Giveaways | None) -> str:
        """Which detectors did not look at the image, and why."""
        return self._fault if found is None else found.left_out


def _known(
    checkpoint: str, recording: Recording | None, given: str | FilePath | None
) -> tuple[list[SavedDetector], str]:
    """The detectors, and why those that lie beside the recording cannot be used."""
    if given is not None:
        return fitted_for(checkpoint, given), ""
    if recording is None or not any((recording.folder / FITTED).glob("*.json")):
        return [], ""
    try:
        return fitted_for(checkpoint, recording.folder / FITTED), ""
    except PathLensError as error:
        return [], f"detectors ({str(error).rstrip('.')})"


def _features(network: DecoupledNetwork, size: int) -> Features | None:
    """What sees the features; None where the classifier cannot be found."""
    device = next(network.parameters()).device
    try:
        return Features(network.model, torch.zeros(1, 3, size, size, device=device))
    except PathLensError:
        return None


def _single(values: Tensor) -> npt.NDArray[np.float32]:
    return values.detach().float().cpu().numpy()
