"""`explain()`: one image's path, and what its decision rests on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch

from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Bits
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.devices import check_device
from pathlens.errors import PathLensError
from pathlens.probing.explaining.beside import Beside, beside
from pathlens.probing.explaining.explanation import Explanation
from pathlens.probing.explaining.flips import Flips, Step, find_flips
from pathlens.probing.explaining.hits import (
    Hits,
    confirmed_associations,
    hits_of,
    known_values,
)
from pathlens.probing.explaining.images import ChosenImage, ImageChooser, ImageSpec
from pathlens.probing.explaining.tables import filter_table, largest_maps, layer_table
from pathlens.probing.explaining.watching import Watch
from pathlens.progress import progress_bar
from pathlens.recording.reader import Recording, open_recording
from pathlens.runs import Run, find_run, recordings_of
from pathlens.training.evaluation import scores_of
from pathlens.training.loading import LoadedRun, load_run


def explain(
    image: ImageSpec,
    run: str | Path | Run | None = None,
    recording: str | Path | Recording | None = None,
    *,
    data: str | Path | None = None,
    neighbours: int = 8,
    passes: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    detectors: str | Path | None = None,
    progress: bool = True,
) -> Explanation:
    """Explain one image; `Explainer` does it for several without loading the run again.

    Args:
        image: A picture file, or an image of the recording: its id, or its position from 0.
        run: Name or folder of a run; for None that of the recording, else the newest.
        recording: A recording of the run's checkpoint, to hold the path against; for None the run's
            newest. Where there is none, what needs it is left out.
        data: Where recorded images are, if not where the run found them.
        neighbours: Nearest images to name.
        passes: Filters to ablate one by one, at most; see `find_flips`.
        seed: Draws random sets to compare with.
        device: "cpu", "cuda", "mps".
        detectors: Folder of fitted detectors that say whether the image was altered; those beside
            the recording, if there are any, for None.
        progress: Whether to show a progress bar.

    Raises:
        PathLensError: If the run is plain or gone, the recording or a given detector is another
            checkpoint's, or there is no such image or it cannot be read.
    """
    explainer = Explainer(
        run,
        recording,
        data=data,
        neighbours=neighbours,
        passes=passes,
        seed=seed,
        device=device,
        detectors=detectors,
        progress=progress,
    )
    return explainer.explain(image)


class Explainer:
    """Explains images of one run; the arguments are those of `explain`.

    Attributes:
        loaded: The run.
        recording: The recording that paths are held against, or None.
        missing: Why there is no recording and how to make one, or "".
    """

    def __init__(
        self,
        run: str | Path | Run | None = None,
        recording: str | Path | Recording | None = None,
        *,
        data: str | Path | None = None,
        neighbours: int = 8,
        passes: int | None = None,
        seed: int = 0,
        device: str = "cpu",
        detectors: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        if neighbours < 1:
            raise PathLensError(f"{neighbours} neighbours were asked for: ask for at least 1.")
        if passes is not None and passes < 1:
            raise PathLensError(f"{passes} filters may be ablated: allow at least 1.")
        check_device(device)
        given = open_recording(recording) if isinstance(recording, str | Path) else recording
        self.loaded = load_run(_run_of(run, given))
        self._network = _gated(self.loaded).to(device)
        self.recording, self.missing = _recording_of(self.loaded, given)
        self._chooser = ImageChooser(self.loaded, self.recording, data)
        self._watch = Watch(self.loaded, self._network, self.recording, detectors)
        self._neighbours, self._passes = neighbours, passes
        self._seed, self._device, self._progress = seed, device, progress

    def explain(self, image: ImageSpec) -> Explanation:
        """Explain one image.

        Raises:
            PathLensError: If there is no such image, or it cannot be read.
        """
        chosen = self._chooser.choose(image)
        with self._steps(Path(chosen.name).name) as step:
            return self._explained(chosen, step)

    @contextmanager
    def _steps(self, name: str) -> Iterator[Step]:
        with progress_bar(desc=f"explain {name}", unit=" passes", shown=self._progress) as bar:
            yield bar.update

    def _explained(self, chosen: ChosenImage, step: Step) -> Explanation:
        network, x = self._network, chosen.x.to(self._device)
        with torch.no_grad(), self._watch:
            output, path = network.with_path(x, gates="hard", responses=False)
            logits = scores_of(output)[0]
            confidence, prediction = logits.float().softmax(dim=0).max(dim=0)
            macs = network.cost.macs({name: z.cpu().double() for name, z in path.items()})
        flips = find_flips(
            network,
            x,
            path,
            logits.double().cpu().numpy(),
            passes=self._passes,
            seed=self._seed,
            step=step,
        )
        gates = {name: z[0].cpu().numpy() > 0.5 for name, z in path.items()}
        by = self._beside(gates, int(prediction), chosen.position)
        hits, unknown = self._hits(gates, chosen)
        given = self._watch.giveaways(chosen.name, path, logits, by)
        frame = filter_table(path, flips, by, self.loaded.config.classes)
        return Explanation(
            frame=frame,
            layers=layer_table(frame, by),
            run=self.loaded.run.name,
            image=chosen.name,
            picture=chosen.picture,
            classes=tuple(self.loaded.config.classes),
            prediction=int(prediction),
            confidence=float(confidence),
            label=chosen.label,
            macs=round(float(macs)),
            macs_share=float(macs) / network.cost.dense,
            flips=flips,
            maps=largest_maps(network, x, flips),
            beside=by,
            thumbnails=self._thumbnails(by),
            hits=hits,
            left_out=join_notes(
                [_untried(flips), self.missing, unknown, self._watch.left_out(given)]
            ),
            giveaways=given,
        )

    def _beside(
        self, gates: dict[str, Bits], prediction: int, position: int | None
    ) -> Beside | None:
        if self.recording is None:
            return None
        return beside(self.recording, gates, prediction, own=position, neighbours=self._neighbours)

    def _thumbnails(self, by: Beside | None) -> tuple[bytes, ...]:
        if by is None or self.recording is None:
            return ()
        return tuple(self.recording.thumbnails(by.neighbours["position"].to_numpy()))

    @cached_property
    def _associations(self) -> tuple[pd.DataFrame, str] | str:
        """Confirmed associations with where they are from, or why there are none."""
        assert self.recording is not None
        try:
            return confirmed_associations(self.recording, self.loaded.run)
        except PathLensError as error:
            return f"combinations and concepts ({str(error).rstrip('.')})"

    def _hits(self, gates: dict[str, Bits], chosen: ChosenImage) -> tuple[Hits | None, str]:
        if self.recording is None:
            return None, ""
        known = self._associations
        if isinstance(known, str):
            return None, known
        recorded = None if chosen.position is None else chosen.name
        values = known_values(self.recording, recorded, chosen.label)
        return hits_of(known[0], known[1], gates, values), ""


def _run_of(run: str | Path | Run | None, recording: Recording | None) -> Run:
    if isinstance(run, Run):
        return run
    if run is None and recording is not None:
        above = recording.folder.resolve().parent.parent
        if (above / "config.json").is_file():
            return Run(above)
    return find_run(run, with_paths=run is None)


def _gated(loaded: LoadedRun) -> DecoupledNetwork:
    network = loaded.network
    if not isinstance(network, DecoupledNetwork):
        raise PathLensError(
            f"Run {loaded.run.name} is a plain network, which has no paths: choose a decoupled run."
        )
    if not network.applied:
        raise PathLensError(
            f"The gates of run {loaded.run.name} are decided but not applied, so that its decisions "
            "do not rest on them: choose a decoupled run."
        )
    return network


def _recording_of(loaded: LoadedRun, given: Recording | None) -> tuple[Recording | None, str]:
    """The recording to use, or None and the reason."""
    if given is not None:
        if given.manifest["checkpoint"] != loaded.checkpoint:
            raise PathLensError(
                f"{given.folder} was recorded from another checkpoint than that of run "
                f"{loaded.run.name}: record it again, or name its own run."
            )
        return given, ""
    folders = recordings_of(loaded.run)
    for found in map(open_recording, folders):
        # Attacked images say nothing about what paths are usual.
        attacked = any(column.name == "attack" for column in found.listing.plan.further)
        if found.manifest["checkpoint"] == loaded.checkpoint and not attacked:
            return found, ""
    fault = "no recording of its present checkpoint" if folders else "no recording"
    return None, (
        f"how typical the path is, nearest images, combinations and concepts (run {loaded.run.name} "
        f"has {fault}: make one with `pathlens record {loaded.run.name}`)"
    )


def _untried(flips: Flips) -> str:
    if not flips.untried:
        return ""
    return (
        f"single ablations of {plural(flips.untried, 'filter')} that are on but weigh least by a "
        "first-order estimate"
    )
