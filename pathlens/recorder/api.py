"""`record()`: the path of every image of a data set, from a trained run into a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pathlens.datasets import ImageSplit
from pathlens.datasets.registry import resolve_spec
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.devices import check_device
from pathlens.errors import PathLensError
from pathlens.progress import progress_bar
from pathlens.recorder.baselines import BASELINE, RATES_IMAGES, Baseline, Codes, known_baseline
from pathlens.recorder.columns import OptionalColumns, checked_columns
from pathlens.recorder.groups import groups_file, groups_hash, read_groups
from pathlens.recorder.images import planned_images
from pathlens.recorder.parts import Coder, PartRecorder, Paths
from pathlens.recorder.processes import Place
from pathlens.recorder.writing import Say, write_missing
from pathlens.recording.content import CONTENT
from pathlens.recording.further import TEXT_COLUMNS, FurtherColumn, with_further
from pathlens.recording.importing import GATES, NOT_APPLIED
from pathlens.recording.manifest import DEFAULT_PART_SIZE, Plan, image_fingerprint
from pathlens.recording.reader import Recording
from pathlens.runs import Run, find_run
from pathlens.training.loading import LoadedRun, load_run


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
    columns: str | Iterable[str] = (),
    groups: str | Path | None = None,
    plain: str | None = None,
    rates_from: str | Path | Run | None = None,
    rates_images: int = RATES_IMAGES,
    seed: int = 0,
    shard: str | None = None,
    changed: bool = False,
    progress: bool = True,
    say: Say | None = None,
) -> Recording:
    """Record the path, prediction and cost of every image, with hard gates.

    An interrupted recording goes on where it stopped; a finished one is opened and left as it is.

    With `plain` no paths are recorded but a baseline to hold them against: codes of a plain network
    of which every filter is on for as many training images as the same filter of the decoupled run
    `rates_from` is. Predictions and cost are the plain network's, as nothing is routed.

    Args:
        run: Name or folder of a run, or None for the newest.
        data: Data set or image folder; the one the run was trained on if not given.
        split: "train", "validation", "test", or "all" for images without labels; "test" if not given
            ("all" for a folder that has nothing else).
        limit: Record a seeded, class-balanced subset of so many images.
        part_size: Images a part; a batch never straddles two parts.
        out: Folder of the recording; below the run's folder if not given, named after data, split,
            limit, baseline and optional columns, so that each of them is a recording of its own.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        thumbnails: Whether to keep small pictures beside the parts, for the report.
        columns: Floats to keep beside the bits, any of "scores", "responses", "features" and
            "logits"; see `Recording.scores` and so on.
        groups: CSV file (image,group[,source_image,attack]) that says which images belong together;
            `groups.csv` of an image folder is taken without being asked for.
        plain: "response" (pooled response of the same filter of a plain run), "random" (a random
            projection of the layer's pooled input, of a plain run) or "unapplied" (the gating modules
            of an unapplied run).
        rates_from: The decoupled run whose on-rates the codes of `plain` have.
        rates_images: Number of training images, drawn by seed and as even over classes as possible,
            on which rates are measured and thresholds chosen; all if there are fewer.
        seed: Draws those images and the random projections.
        shard: Record only the parts of shard K of N, as "K/N" (`recording.shards.Shard`), so that
            independent jobs share the work; the last to finish lists the parts of all. Processes
            that torchrun has started share it without being asked.
        changed: Look at every image that is recorded already, and make the parts again in which
            one has changed since; a finished recording becomes another one by that.
        progress: Whether to show a progress bar.
        say: Called with each line for the user; print by default, nothing without progress.

    Returns:
        The finished recording.

    Raises:
        OtherShardsMissingError: If `shard` is finished and others are not: nothing has gone wrong.
        PathLensError: If the run has no gates, the runs or the data do not fit, the folder holds
            another recording, a column cannot be had, too many images cannot be read, or the disk is
            full.
    """
    place = Place.find(shard, device)
    device, progress = place.device, progress and place.leads
    say = (say if place.leads else None) or (print if progress else lambda _: None)
    kinds = checked_columns(columns)
    check_device(device)
    loaded, baseline = _subject(run, plain, rates_from, rates_images, seed)
    if not loaded.trained:
        say(f"Run {loaded.run.name} has not finished training; its last epoch is recorded.")
    images = planned_images(loaded, data, split, limit)
    if images.labels is None:
        say("The images have no labels that the network knows: no accuracy is recorded.")
    asked = _Asked(loaded, images, data, limit, part_size, thumbnails, baseline, kinds)
    table = _groups(groups, asked)
    folder = Path(out) if out is not None else asked.default_folder()
    extra: dict[str, Any] = {}
    if baseline is None:
        assert isinstance(loaded.network, DecoupledNetwork)
        coder: Coder = Paths(loaded.network.to(device))
    else:
        extra[BASELINE] = _measured(baseline, folder, device, batch_size, progress, say)
        coder = Codes(baseline, extra[BASELINE])
    coder.network.to(device).eval()
    size = loaded.config.view.size
    example = torch.zeros(1, 3, size, size, device=device)
    optional = OptionalColumns(kinds, coder.network, len(loaded.config.classes), example)
    plan = asked.plan(coder.network, optional, table, extra)
    recorder = PartRecorder(coder, images, loaded.config.view, device, batch_size, optional, table)
    with place.speaking_for_all():
        return write_missing(
            folder, plan, recorder, place=place, changed=changed, progress=progress, say=say
        )


def _subject(
    run: str | Path | Run | None,
    plain: str | None,
    rates_from: str | Path | Run | None,
    rates_images: int,
    seed: int,
) -> tuple[LoadedRun, Baseline | None]:
    """The run to record and, if that is no path, what is to be recorded of it."""
    if plain is None:
        if rates_from is not None:
            raise PathLensError(
                "--rates-from is for baselines: say which with --plain response, random or unapplied."
            )
        loaded = load_run(find_run(with_paths=True) if run is None else run)
        if not isinstance(loaded.network, DecoupledNetwork):
            raise PathLensError(
                f"Run {loaded.run.name} is a plain network and has no paths: record a decoupled run, "
                f"such as `pathlens train {loaded.config.model} --from {loaded.run.name} --data ...`, "
                "or a baseline with --plain KIND --rates-from RUN."
            )
        return loaded, None
    if run is None:
        raise PathLensError(
            f"--plain {plain} needs the run whose plain network is recorded: name it."
        )
    loaded = load_run(run)
    return loaded, Baseline.of(loaded, plain, rates_from, rates_images, seed)


def _measured(
    baseline: Baseline, folder: Path, device: str, batch_size: int, progress: bool, say: Say
) -> dict[str, Any]:
    """On-rates and thresholds: those of the recording that was begun, else new ones."""
    found = known_baseline(baseline, folder)
    if found is not None:
        say(f"Thresholds are those with which {folder} was begun.")
        return found
    with progress_bar(
        total=len(baseline.training_images()), unit="image", desc="rates", shown=progress
    ) as bar:
        found = baseline.calibrate(device, batch_size, bar.update)
    miss = Codes(baseline, found).largest_miss(found["images"])
    say(
        f"Thresholds for the on-rates of run {baseline.reference.run.name}, on {found['images']:,} "
        f"training images; no filter's rate is further off than {miss:.2%}."
    )
    # Another shard may have begun meanwhile, on a machine that rounds otherwise.
    return known_baseline(baseline, folder) or found


@dataclass(frozen=True)
class _Asked:
    """What was asked for, once it is known to fit together."""

    loaded: LoadedRun
    images: ImageSplit
    data: str | Path | None
    limit: int | None
    part_size: int
    thumbnails: bool
    baseline: Baseline | None
    kinds: tuple[str, ...]

    @property
    def data_name(self) -> str:
        """Last part of the data set's name or path."""
        return Path(str(self.data) if self.data is not None else self.loaded.config.data).name

    def default_folder(self) -> Path:
        """Below the run, named after images, codes and optional columns."""
        parts = [self.data_name.replace(":", "-"), self.images.name]
        parts += [str(self.limit)] if self.limit is not None else []
        parts += [self.baseline.label] if self.baseline is not None else []
        return self.loaded.run.folder / "recordings" / "-".join([*parts, *self.kinds])

    def plan(
        self,
        network: DecoupledNetwork,
        optional: OptionalColumns,
        groups: pd.DataFrame | None,
        extra: dict[str, Any],
    ) -> Plan:
        """The plan of the recording."""
        config = self.loaded.config
        columns = ["image", "prediction", "confidence", "macs", CONTENT]
        further: list[FurtherColumn] = []
        if self.images.labels is not None:
            columns.append("label")
        if groups is not None:
            columns.append("group")
            further += [FurtherColumn(x, "string") for x in TEXT_COLUMNS if x in groups.columns]
            extra = {**extra, "groups": groups_hash(groups)}
        if not network.applied and self.baseline is None:
            extra = {**extra, GATES: NOT_APPLIED}
        return Plan(
            checkpoint=self.loaded.checkpoint,
            model=config.model,
            run=self.loaded.run.name,
            layers=network.layers,
            images=len(self.images),
            fingerprint=image_fingerprint(self.images.ids, self.images.labels),
            part_size=self.part_size,
            columns=columns,
            thumbnails=self.thumbnails,
            dataset={
                "name": self.data_name,
                "split": self.images.name,
                "limit": self.limit,
                "seed": config.data_seed,
            },
            transform=config.view.to_json(),
            classes=config.classes,
            macs_dense=network.cost.dense,
            extra=with_further(extra, [*further, *optional.listed]),
        )


def _groups(given: str | Path | None, asked: _Asked) -> pd.DataFrame | None:
    data = resolve_spec(asked.data) if asked.data is not None else asked.loaded.config.data
    path = groups_file(given, data)
    return None if path is None else read_groups(path, asked.images)
