"""The one door to the attack library (foolbox); everything that is called of it stands here.

The attacks are run as they are, but for random starts, which the library draws for a whole batch:
here they are given, so that an image's attack does not depend on its neighbours.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from pathlens.errors import PathLensError

if TYPE_CHECKING:
    from pathlens.attacking.classifier import ImageClassifier

Norm = Literal["linf", "l2"]


def fast_gradient(
    classifier: ImageClassifier, images: Tensor, labels: Tensor, epsilon: float
) -> Tensor:
    """FGSM (Goodfellow et al., arXiv 1412.6572): one step of `epsilon` along the gradient's sign.

    Args:
        classifier: What is attacked.
        images: float32 (N, 3, H, W) in [0, 1].
        labels: int64 (N,), true classes.
        epsilon: Largest change of a value.

    Returns:
        float32 (N, 3, H, W) in [0, 1].
    """
    attack = _foolbox().attacks.LinfFastGradientAttack(random_start=False)
    return _run(attack, classifier, images, labels, epsilon=epsilon)


def projected_gradient(
    classifier: ImageClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Norm,
    epsilon: float,
    steps: int,
    step_size: float,
    start: Tensor,
) -> Tensor:
    """PGD (Madry et al., arXiv 1706.06083) from a given start within the ball of `epsilon`.

    Args:
        classifier: What is attacked.
        images: float32 (N, 3, H, W) in [0, 1].
        labels: int64 (N,), true classes.
        norm: Norm of the ball, "linf" or "l2".
        epsilon: Its radius.
        steps: Number of steps.
        step_size: Length of a step in that norm.
        start: float32 (N, 3, H, W), added to the images before the first step.

    Returns:
        float32 (N, 3, H, W) in [0, 1].
    """
    library = _foolbox()
    kind = {
        "linf": library.attacks.LinfProjectedGradientDescentAttack,
        "l2": library.attacks.L2ProjectedGradientDescentAttack,
    }[norm]
    attack = kind(abs_stepsize=step_size, steps=steps, random_start=True)
    attack.get_random_start = lambda clean, _: clean + type(clean)(start)
    return _run(attack, classifier, images, labels, epsilon=epsilon)


def deepfool(
    classifier: ImageClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    candidates: int,
    overshoot: float,
) -> Tensor:
    """DeepFool, L2 (Moosavi-Dezfooli et al., arXiv 1511.04599).

    Args:
        classifier: What is attacked.
        images: float32 (N, 3, H, W) in [0, 1].
        labels: int64 (N,), true classes.
        steps: At most so many linearisations.
        candidates: Classes, the likeliest ones, of which the nearest boundary is looked for.
        overshoot: Share by which it steps over the boundary.

    Returns:
        float32 (N, 3, H, W) in [0, 1].
    """
    attack = _foolbox().attacks.L2DeepFoolAttack(
        steps=steps, candidates=candidates, overshoot=overshoot
    )
    return _run(attack, classifier, images, labels)


def carlini_wagner(
    classifier: ImageClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    searches: int,
    steps: int,
    step_size: float,
    first_weight: float,
    confidence: float,
) -> Tensor:
    """Carlini & Wagner, L2 (arXiv 1608.04644).

    Args:
        classifier: What is attacked.
        images: float32 (N, 3, H, W) in [0, 1].
        labels: int64 (N,), true classes.
        searches: Steps of the binary search for the weight of being misclassified.
        steps: Adam steps in each.
        step_size: Adam's learning rate.
        first_weight: The weight that the search begins with.
        confidence: By how much another class's score must be above the true one's.

    Returns:
        float32 (N, 3, H, W) in [0, 1]; an image for which none was found is as it was.
    """
    attack = _foolbox().attacks.L2CarliniWagnerAttack(
        binary_search_steps=searches,
        steps=steps,
        stepsize=step_size,
        initial_const=first_weight,
        confidence=confidence,
        # It would stop a batch by the sum of its losses: an image's result would depend on others.
        abort_early=False,
    )
    found = _run(attack, classifier, images, labels)
    # The library answers with a black image where it has found none.
    none = (found == 0).flatten(1).all(1)
    return torch.where(none.view(-1, 1, 1, 1), images, found)


def _run(
    attack: Any, classifier: ImageClassifier, images: Tensor, labels: Tensor, **settings: float
) -> Tensor:
    model = _foolbox().PyTorchModel(classifier, bounds=(0, 1), device=images.device)
    found: Tensor = attack.run(model, images, labels, **settings)
    return found.detach()


def library_version() -> str:
    """Name and version of the library, as tables of attacks keep them.

    Raises:
        PathLensError: If it is not installed.
    """
    return f"foolbox {_foolbox().__version__}"


def _foolbox() -> ModuleType:
    try:
        import foolbox
    except ImportError as error:
        raise PathLensError(
            'Attacks need the library foolbox: install it with `pip install "pathlens[detection]"`.'
        ) from error
    library: ModuleType = foolbox
    return library
