"""`record()`: the path of every image of a data set, from a trained run into a recording."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm.auto import tqdm

from pathlens.datasets import ImageSplit, load_dataset
from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.datasets.registry import resolve_spec
from pathlens.datasets.splits import take
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.devices import check_device
from pathlens.errors import PathLensError
from pathlens.recording.manifest import DEFAULT_PART_SIZE, Plan, image_fingerprint
from pathlens.recording.parts import PartRows
from pathlens.recording.reader import Recording
from pathlens.recording.writer import RecordingWriter
from pathlens.runs import Run, find_run
from pathlens.training.evaluation import scores_of
from pathlens.training.loading import LoadedRun, load_run

THUMBNAIL = 64
"""Longest side of a thumbnail, in pixels."""

Say = Callable[[str], None]


def record(
    run: str | Path | Run | None = None,
    data: str | Path | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    part_size: int = DEFAULT_PART_SIZE,
    out: str | Path | None = None,
    batch_size: int = 128,
    device: str = "cpu",
    thumbnails: bool = True,
    progress: bool = True,
    say: Say | None = None,
) -> Recording:
    """Record the path, prediction and cost of every image, with hard gates.

    An interrupted recording goes on where it stopped; a finished one is opened and left as it is.

    Args:
        run: Name or folder of a run, or None for the newest.
        data: Data set or image folder; the one the run was trained on if not given.
        split: "train", "validation", "test", or "all" for images without labels; "test" if not given
            ("all" for a folder that has nothing else).
        limit: Record a seeded, class-balanced subset of so many images.
        part_size: Images a part; a batch never straddles two parts.
        out: Folder of the recording; below the run's folder if not given.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        thumbnails: Whether to keep small pictures beside the parts, for the report.
        progress: Whether to show a progress bar.
        say: Called with each line for the user; print by default, nothing without progress.

    Returns:
        The finished recording.

    Raises:
        PathLensError: If the run has no gates, the data do not fit, the folder holds another
            recording, too many images cannot be read, or the disk is full.
    """
    say = say or (print if progress else lambda _: None)
    check_device(device)
    loaded = load_run(find_run(with_paths=True) if run is None else run)
    if not isinstance(loaded.network, DecoupledNetwork):
        raise PathLensError(
            f"Run {loaded.run.name} is a plain network and has no paths: record a decoupled run, "
            f"such as `pathlens train {loaded.config.model} --from {loaded.run.name} --data ...`."
        )
    if not loaded.trained:
        say(f"Run {loaded.run.name} has not finished training; its last epoch is recorded.")
    images = planned_images(loaded, data, split, limit)
    if images.labels is None:
        say("The images have no labels that the network knows: no accuracy is recorded.")
    plan = _plan(loaded, images, data, limit, part_size, thumbnails)
    folder = Path(out) if out is not None else _default_folder(loaded, data, images, limit)
    with RecordingWriter(folder, plan) as writer:
        missing = writer.missing_parts()
        if writer.finished:
            say(f"{folder} is finished already: {plan.images:,} images of {images.name}.")
            return writer.finish()
        if len(missing) < plan.parts:
            say(f"Resuming {folder}: {plan.parts - len(missing)} of {plan.parts} parts are there.")
        recorder = _Recorder(loaded.network, images, loaded.config.view, device, batch_size)
        with tqdm(total=plan.images, unit="image", desc="record", disable=not progress) as bar:
            bar.update(plan.images - sum(len(plan.part_range(i)) for i in missing))
            for index in missing:
                writer.write_part(index, recorder.part(plan, index, bar.update))
        if len(missing) == plan.parts and not recorder.readable:
            position, reason = next(iter(recorder.loader.failed.items()))
            raise PathLensError(
                f"None of the {plan.images} images can be read, the first being "
                f"{images.ids[position]} ({reason}): check the folder."
            )
        if images.concepts is not None:
            writer.write_concepts(images.concepts)
        recording = writer.finish()
    say(_describe(recording, folder))
    return recording


def _describe(recording: Recording, folder: Path) -> str:
    frame = recording.images
    line = f"{len(recording):,} images recorded in {folder}"
    if "label" in frame:
        line += f", accuracy {(frame['label'] == frame['prediction']).mean():.2%}"
    if len(recording.skipped):
        line += f", {len(recording.skipped)} unreadable images listed in skipped.csv"
    return line + "."


def planned_images(
    loaded: LoadedRun, data: str | Path | None, split: str | None, limit: int | None
) -> ImageSplit:
    """The images to record; labels are positions in the network's classes.

    Args:
        loaded: The run.
        data: Data set or image folder; the run's own for None.
        split: Name of the split; "test" for None, or "all" where there is nothing else.
        limit: Size of a seeded, class-balanced subset; None for all.

    Raises:
        PathLensError: If there are no such images.
    """
    config = loaded.config
    spec = resolve_spec(data) if data is not None else config.data
    # The run's own training and validation images are those that its limit kept.
    own = spec == config.data and split in ("train", "validation")
    dataset = load_dataset(spec, seed=config.data_seed, limit=config.limit if own else None)
    only_all = "test" not in dataset.splits
    chosen = dataset.split(split or ("all" if only_all else "test"))
    if limit is not None:
        if limit < 1:
            raise PathLensError(f"--limit {limit} leaves no image: give at least 1.")
        chosen = take(chosen, limit, config.data_seed)
    return _relabelled(chosen, config.classes)


def _relabelled(split: ImageSplit, classes: Sequence[str]) -> ImageSplit:
    """Labels as positions in the network's classes; no labels if it knows other classes."""
    if split.labels is None or tuple(split.classes) == tuple(classes):
        return split
    if not set(split.classes) <= set(classes):
        return replace(split, labels=None, classes=())
    position = np.array([list(classes).index(name) for name in split.classes], dtype=np.int64)
    return replace(split, labels=position[split.labels], classes=tuple(classes))


def _plan(
    loaded: LoadedRun,
    images: ImageSplit,
    data: str | Path | None,
    limit: int | None,
    part_size: int,
    thumbnails: bool,
) -> Plan:
    network, config = loaded.network, loaded.config
    assert isinstance(network, DecoupledNetwork)
    columns = ["image", "prediction", "confidence", "macs"]
    if images.labels is not None:
        columns.append("label")
    return Plan(
        checkpoint=loaded.checkpoint,
        model=config.model,
        run=loaded.run.name,
        layers=network.layers,
        images=len(images),
        fingerprint=image_fingerprint(images.ids, images.labels),
        part_size=part_size,
        columns=columns,
        thumbnails=thumbnails,
        dataset={
            "name": Path(str(data) if data is not None else config.data).name,
            "split": images.name,
            "limit": limit,
            "seed": config.data_seed,
        },
        transform=config.view.to_json(),
        classes=config.classes,
        macs_dense=network.cost.dense,
        extra={} if network.applied else {"gates": "decided, but not applied"},
    )


def _default_folder(
    loaded: LoadedRun, data: str | Path | None, images: ImageSplit, limit: int | None
) -> Path:
    name = Path(str(data) if data is not None else loaded.config.data).name.replace(":", "-")
    parts = [name, images.name, *([str(limit)] if limit is not None else [])]
    return loaded.run.folder / "recordings" / "-".join(parts)


class _Recorder:
    """Runs the network over one part after the other; holds no more than a part's packed rows."""

    def __init__(
        self,
        network: DecoupledNetwork,
        images: ImageSplit,
        view: Any,
        device: str,
        batch_size: int,
    ) -> None:
        self.network = network.to(device).eval()
        self.images = images
        self.loader = ImageLoader(images, view, cache_bytes=0)
        self.device = device
        self.batch_size = batch_size
        self.readable = 0

    def part(self, plan: Plan, index: int, progress: Callable[[int], Any]) -> PartRows:
        """Record the images of part `index`."""
        positions = plan.part_range(index)
        batches = [
            positions[i : i + self.batch_size] for i in range(0, len(positions), self.batch_size)
        ]
        frames, skipped = [], []
        bits: dict[str, list[Any]] = {layer.name: [] for layer in plan.layers}
        pictures: list[bytes] = []
        for planned, batch in zip(batches, self.loader.batches(batches), strict=True):
            skipped += [(self.images.ids[i], reason) for i, reason in batch.failed]
            self.readable += len(batch.positions)
            if len(batch.positions):
                frame, gates = self._forward(batch.canvas, batch.positions)
                frames.append(frame)
                for name, values in gates.items():
                    bits[name].append(values)
                if plan.thumbnails:
                    pictures += [_thumbnail(canvas) for canvas in batch.canvas]
            progress(len(planned))
        return PartRows(
            images=pd.concat(frames, ignore_index=True) if frames else _no_rows(plan),
            bits={
                layer.name: np.concatenate(bits[layer.name])
                if bits[layer.name]
                else np.zeros((0, layer.filters), dtype=bool)
                for layer in plan.layers
            },
            thumbnails=pictures if plan.thumbnails else None,
            skipped=skipped,
        )

    @torch.inference_mode()
    def _forward(
        self, canvas: torch.Tensor, positions: np.ndarray[Any, np.dtype[np.int64]]
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        x = normalise(centre(canvas, self.loader.view).to(self.device))
        output, path = self.network.with_path(x, gates="hard", responses=False)
        confidence, prediction = scores_of(output).float().softmax(dim=1).max(dim=1)
        # float64 keeps every multiply-add of a large network. Gates that are not applied spare none.
        ran = {name: z if self.network.applied else torch.ones_like(z) for name, z in path.items()}
        macs = self.network.cost.macs({name: z.cpu().double() for name, z in ran.items()})
        frame = pd.DataFrame(
            {
                "image": [self.images.ids[i] for i in positions],
                "prediction": prediction.cpu().numpy(),
                "confidence": confidence.cpu().numpy(),
                "macs": macs.round().long().numpy(),
            }
        )
        if self.images.labels is not None:
            frame["label"] = self.images.labels[positions]
        return frame, {name: z.cpu().numpy() > 0.5 for name, z in path.items()}


def _no_rows(plan: Plan) -> pd.DataFrame:
    """An empty frame with the planned columns, for a part of which no image could be read."""
    types = {"image": "str", "confidence": "float32"}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, "int64")) for name in plan.columns})


def _thumbnail(canvas: torch.Tensor) -> bytes:
    """A small JPEG of a stored square, uint8 (3, side, side)."""
    picture = Image.fromarray(canvas.permute(1, 2, 0).numpy())
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return content.getvalue()
