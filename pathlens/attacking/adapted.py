"""`attack_detector()`: attacks that know a fitted detector, made and recorded in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pathlens.attacking.adaptive import AdaptiveImages, Form, adaptive
from pathlens.attacking.attacks import ProjectedGradient, Square
from pathlens.attacking.recorded import record_altered
from pathlens.attacking.registry import find_alteration
from pathlens.detection.saving import SavedDetector
from pathlens.errors import PathLensError
from pathlens.recording.reader import Recording
from pathlens.runs import Run, find_run


def attack_detector(
    run: str | Path | Run | None,
    labels: str | Sequence[str],
    detector: str | Path | SavedDetector,
    *,
    orthogonal: bool = False,
    through: str | Path | SavedDetector | None = None,
    data: str | Path | None = None,
    images: int | Iterable[str] | None = None,
    gates: str | None = None,
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    progress: bool = True,
) -> dict[str, tuple[AdaptiveImages, Recording]]:
    """Attack a run's network together with a detector of its paths, and record the images.

    Args:
        run: Name or folder of a decoupled run, or None for the newest.
        labels: What becomes adaptive: "pgd-linf-8" follows gradients, "square-8" asks for scores.
        detector: A fitted detector with a threshold, or the JSON file that holds it.
        orthogonal: Whether "pgd-linf" takes steps along one gradient at right angles to the other,
            and not a weighted sum of both.
        through: As of `adaptive`.
        data: As of `alter`.
        images: As of `adaptive`: images that the detector has not seen, where no ids are given.
        gates: As of `alter`.
        seed: As of `alter`.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        progress: Whether to show progress bars.

    Returns:
        Label such as "adaptive-8-likelihood" to the images and their recording, which stands in the
        run's `recordings/altered-LABEL` as that of any other attack.

    Raises:
        PathLensError: If another attack is named, and as `adaptive` and `record` say. A label that
            cannot be adapted is told before anything is made.
    """
    given = [labels] if isinstance(labels, str) else list(labels)
    if not given:
        raise PathLensError("Say which attack is to know the detector: give one as 'pgd-linf-8'.")
    wanted = [_adapted(label, orthogonal) for label in given]
    found = run if isinstance(run, Run) else find_run(run, with_paths=run is None)
    chosen = images if images is None or isinstance(images, int) else list(images)
    made = {}
    for epsilon, form in wanted:
        one = adaptive(
            found,
            detector,
            epsilon=epsilon,
            form=form,
            through=None if form == "search" else through,
            data=data,
            images=chosen,
            seed=seed,
            gates=gates,
            batch_size=batch_size,
            device=device,
            progress=progress,
        )
        made[one.label] = (one, record_altered(found, one, batch_size, device, progress))
    return made


def _adapted(label: str, orthogonal: bool) -> tuple[float, Form]:
    """Radius and form of the adaptive attack that a label stands for."""
    attack = find_alteration(label)
    if isinstance(attack, ProjectedGradient) and attack.norm == "linf":
        return attack.epsilon, "orthogonal" if orthogonal else "sum"
    if isinstance(attack, Square):
        return attack.epsilon, "search"
    raise PathLensError(
        f"The attack '{label}' cannot know a detector: give 'pgd-linf-8', which follows gradients, or "
        "'square-8', which asks for scores (any number)."
    )
