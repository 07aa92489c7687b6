"""What a detector sees of a network's passes: in numpy with hard gates, in torch with a gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from pathlens.attacking.classifier import ImageClassifier, in_unit_range
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.path import Path
from pathlens.detection.data import DetectionData
from pathlens.detection.differentiable import torch_score
from pathlens.detection.saving import SavedDetector
from pathlens.errors import PathLensError
from pathlens.recorder.penultimate import Features
from pathlens.recording.further import as_float16
from pathlens.training.evaluation import in_batches, scores_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pull:
    """Where an image would go to fool the network, and where to be suspected more.

    Attributes:
        network: Gradient of the cross-entropy, (N, 3, H, W).
        detector: Gradient of the detector's score, (N, 3, H, W).
        fooled: Whether the image is misclassified, bool (N,).
        score: The detector's score, (N,).
    """

    network: Tensor = field(repr=False)
    detector: Tensor = field(repr=False)
    fooled: Tensor
    score: Tensor


@dataclass(frozen=True)
class Verdict:
    """What network and detector say of 8-bit images with hard gates.

    Attributes:
        scores: Class scores, float32 (N, classes), on the CPU.
        predicted: Predicted classes, int64 (N,), on the CPU.
        suspicion: The detector's score, float64 (N,).
    """

    scores: Tensor
    predicted: Tensor
    suspicion: Floats


class Watched:
    """A network's passes as a detector sees them.

    Args:
        classifier: The network, a decoupled one, and its gates.
        example: One image (1, 3, H, W) in [0, 1], where the network is.
    """

    def __init__(self, classifier: ImageClassifier, example: Tensor) -> None:
        self._classifier = classifier
        self._network = cast(DecoupledNetwork, classifier.network)
        self._features = _features(self._network, self._normalised(example))

    def _normalised(self, images: Tensor) -> Tensor:
        return (images - self._classifier.mean) / self._classifier.std

    def run(self, images: Tensor) -> tuple[Tensor, Path, Tensor | None]:
        """Class scores, paths and penultimate features of images (N, 3, H, W) in [0, 1]."""
        with self._features or nullcontext():
            output, path = self._network.with_path(
                self._normalised(images), gates=self._classifier.gates, responses=False
            )
        features = None if self._features is None else self._features.take()
        return scores_of(output), path, features

    @torch.no_grad()
    def seen(self, pixels: Tensor) -> DetectionData:
        """8-bit images (N, 3, H, W) as a recording of them would show them to detectors."""
        scores, path, features = self.run(in_unit_range(pixels.to(self._classifier.mean.device)))
        predicted = scores.argmax(1).cpu().numpy()
        return DetectionData(
            layers=self._network.layers,
            classes=(),
            images=pd.DataFrame({"image": range(len(predicted)), "prediction": predicted}),
            bits={name: _singles(path[name]) > 0.5 for name in path},
            # Recordings hold gate scores in half precision.
            scores={
                name: as_float16(_singles(path.logits[name])).astype(np.float32) for name in path
            },
            features=None if features is None else _singles(features),
            logits=_singles(scores),
        )

    def verdict(self, saved: SavedDetector, pixels: Tensor, batch_size: int = 128) -> Verdict:
        """What the network and a detector in numpy say of 8-bit images (N, 3, H, W)."""
        parts = [self.seen(pixels[rows]) for rows in in_batches(range(len(pixels)), batch_size)]
        scores = torch.cat([torch.from_numpy(part.need_logits()) for part in parts])
        suspicion = np.concatenate([saved.fitted.score(part) for part in parts])
        return Verdict(scores, scores.argmax(1), suspicion)

    def pulls(self, saved: SavedDetector) -> Callable[[Tensor, Tensor], Pull]:
        """A function of images in [0, 1] and labels, from one pass and two gradients.

        Raises:
            PathLensError: If the detector has no gradient.
        """
        suspicion = torch_score(saved.fitted, self._network)

        def pull(images: Tensor, labels: Tensor) -> Pull:
            given = images.detach().requires_grad_()
            scores, path, features = self.run(given)
            loss = torch.nn.functional.cross_entropy(scores, labels, reduction="sum")
            found = suspicion(path, scores, features)
            (network,) = torch.autograd.grad(loss, given, retain_graph=True)
            (detector,) = torch.autograd.grad(found.sum(), given)
            return Pull(network, detector, scores.argmax(1) != labels, found.detach())

        return pull


def _singles(values: Tensor) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = values.detach().float().cpu().numpy()
    return found


def _features(network: DecoupledNetwork, example: Tensor) -> Features | None:
    """None where the classifier cannot be found: detectors that need features say so themselves."""
    try:
        return Features(network.model, example)
    except PathLensError:
        return None


def fingerprint(saved: SavedDetector) -> str:
    """SHA-256 of all that fitting found."""
    digest = hashlib.sha256(saved.detector.name.encode())
    for name, array in sorted(saved.fitted.to_arrays().items()):
        digest.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
