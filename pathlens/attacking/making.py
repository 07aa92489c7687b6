"""Making a folder of altered images: what was asked for, and part after part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pathlens._version import __version__
from pathlens.attacking.alteration import Alteration, Clean, Networks
from pathlens.attacking.classifier import ImageClassifier, gradient_classifier
from pathlens.attacking.folder import COLUMNS, AlteredFolder, AlteredImages, image_names
from pathlens.attacking.images import ChosenImages, with_centre
from pathlens.attacking.library import library_version
from pathlens.attacking.reencoding import Reencoded
from pathlens.datasets.loader import ImageLoader, centre
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.progress import progress_bar
from pathlens.recording.manifest import image_fingerprint
from pathlens.training.evaluation import in_batches
from pathlens.training.loading import LoadedRun

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Asked:
    """What was asked for, once it is known to fit together."""

    judged: LoadedRun
    source: LoadedRun | None
    alteration: Alteration
    gates: str | None
    seed: int

    def __post_init__(self) -> None:
        if self.source is None:
            return
        mine, theirs = self.judged.config, self.source.config
        if mine.classes != theirs.classes or mine.view.size != theirs.view.size:
            raise PathLensError(
                f"Run {self.source.run.name} knows other classes or another image size than "
                f"{self.judged.run.name}: attacks transfer between networks of the same images only."
            )

    @property
    def label(self) -> str:
        """The alteration's, with what it is crafted on where that is not the usual."""
        gates = f"-{self.gates}" if self.gates in ("soft", "hard") else ""
        return self.alteration.label + gates + ("-transfer" if self.source is not None else "")

    @property
    def _gates(self) -> str | None:
        """The gates that gradients went through; None where nobody followed any."""
        victim = (self.source or self.judged).network
        followed = isinstance(victim, DecoupledNetwork) and self.alteration.kind == "attack"
        return (self.gates or "straight-through") if followed else None

    def networks(self, device: str, batch_size: int) -> Networks:
        """The networks on their device; the victim's gates are checked."""
        victim = gradient_classifier(self.source or self.judged, self.gates)
        judge = ImageClassifier(self.judged.network)
        return Networks(victim.to(device), judge.to(device), batch_size)

    def plan(
        self, chosen: ChosenImages, data: str, correct_only: bool, part_size: int
    ) -> dict[str, Any]:
        """All that decides what is in the folder, in plain JSON values."""
        versions = {"pathlens": __version__, "torch": torch.__version__}
        if self.alteration.by_library:
            versions["library"] = library_version()
        return {
            "label": self.label,
            "kind": self.alteration.kind,
            "settings": {"type": type(self.alteration).__name__, **_plain(self.alteration)},
            "gates": self._gates,
            "run": self.judged.run.name,
            "checkpoint": self.judged.checkpoint,
            "source": None if self.source is None else self.source.run.name,
            "source_checkpoint": None if self.source is None else self.source.checkpoint,
            "data": {"name": data, "split": chosen.split.name},
            "images": len(chosen.rows),
            "fingerprint": image_fingerprint(chosen.ids, chosen.labels[chosen.rows]),
            "correct_only": correct_only,
            "clean_accuracy": chosen.clean_accuracy,
            "seed": self.seed,
            "part_size": part_size,
            "view": self.judged.config.view.to_json(),
            "classes": list(self.judged.config.classes),
            "versions": versions,
        }


def _plain(alteration: Alteration) -> Mapping[str, Any]:
    if isinstance(alteration, Reencoded):
        return alteration.to_json()
    return asdict(cast("DataclassInstance", alteration))


def write_altered(
    folder: Path,
    plan: Mapping[str, Any],
    asked: Asked,
    networks: Networks,
    chosen: ChosenImages,
    part_size: int,
    progress: bool,
) -> AlteredImages:
    """Make the parts that are missing, and finish the folder.

    Args:
        folder: Where to write.
        plan: `asked.plan(...)`.
        asked: What was asked for.
        networks: The networks, on their device.
        chosen: The clean images.
        part_size: Images a part.
        progress: Whether to show a progress bar.

    Raises:
        PathLensError: If the folder holds something else, or an image can no longer be read.
    """
    parts = list(in_batches([int(row) for row in chosen.rows], part_size))
    writing = AlteredFolder(folder, plan, len(parts))
    try:
        missing = writing.missing()
        total = sum(len(parts[part]) for part in missing)
        with progress_bar(total=total, unit="image", desc=asked.label, shown=progress) as bar:
            for part in missing:
                batches = in_batches(parts[part], networks.batch_size)
                made = []
                for rows in batches:
                    made.append(_altered_batch(asked, networks, chosen, rows))
                    bar.update(len(rows))
                table = pd.concat([rows for rows, _ in made], ignore_index=True)
                writing.write_part(part, table, torch.cat([canvas for _, canvas in made]))
        return writing.finish()
    finally:
        writing.close()


def _altered_batch(
    asked: Asked, networks: Networks, chosen: ChosenImages, rows: Sequence[int]
) -> tuple[pd.DataFrame, Tensor]:
    """Rows of the table and canvases (n, 3, canvas, canvas) of some images."""
    view = asked.judged.config.view
    batch = ImageLoader(chosen.split, view, cache_bytes=0).read(rows)
    if batch.failed:
        raise PathLensError(
            f"The image {chosen.split.ids[batch.failed[0][0]]} can no longer be read "
            f"({batch.failed[0][1]}): mend it, and run the same command again."
        )
    places = np.asarray(rows)
    ids = tuple(chosen.split.ids[row] for row in rows)
    labels = torch.from_numpy(chosen.labels[places])
    clean = Clean(centre(batch.canvas, view).contiguous(), labels, ids, asked.seed)
    altered = asked.alteration.alter(clean, networks)
    change = (altered.pixels.double() - clean.pixels.double()).flatten(1) / 255
    table = pd.DataFrame(
        {
            "image": image_names(asked.judged.config.classes, labels.tolist(), list(rows)),
            "source_image": ids,
            "attack": asked.label,
            "kind": asked.alteration.kind,
            "epsilon": asked.alteration.epsilon,
            "norm": asked.alteration.norm,
            "success": networks.fooled(altered.pixels, labels).numpy(),
            "clean_correct": chosen.correct[places],
            "linf": change.abs().amax(1).numpy(),
            "l2": change.norm(dim=1).numpy(),
            "queries": altered.queries.numpy(),
            "seed": asked.seed,
        }
    )
    return table[list(COLUMNS)], with_centre(batch.canvas, altered.pixels, view)
