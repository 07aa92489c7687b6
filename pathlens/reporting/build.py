"""The one call that makes a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pathlens.analysis.baselines import matched
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec
from pathlens.progress import progress_bar
from pathlens.reporting.collect import Findings, collect, steps_needed
from pathlens.reporting.inputs import fingerprint, is_current, with_ledger
from pathlens.reporting.plain import known_plain
from pathlens.reporting.summary import summarise
from pathlens.reporting.swap import swapped_in

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording import Recording


class _Step(Protocol):
    def __call__(self, what: str, /) -> None: ...


def default_folder(recording: Path) -> Path:
    """Where the report of the recording in this folder goes unless something else is asked for.

    `runs/<run>/reports/<name>` for `runs/<run>/recordings/<name>`, else `<name>-report` beside it.
    """
    folder = recording.resolve()
    if folder.parent.name == "recordings":
        return folder.parent.parent / "reports" / folder.name
    return folder.with_name(f"{folder.name}-report")


def report(
    recording: str | Path | Recording,
    *,
    layers: Sequence[LayerSpec] | None = None,
    concepts: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
    plain: Mapping[str, Any] | None = None,
    baselines: Mapping[str, str | Path | Recording] | None = None,
    hierarchy: str | Path | None = None,
    fresh: bool = False,
) -> Path:
    """Run all analyses of a recording and write the page, its tables and its figures.

    The folder is written beside and swapped in at the end: an interrupted report leaves what stood
    there before.

    Args:
        recording: A recording, or the path of its folder.
        layers: Numbers, names or globs of the layers to show; None for all.
        concepts: A concept file (`image,concept[,value]`); None takes the one beside the recording,
            if there is one.
        out: Folder to write; None takes `default_folder`.
        seed: Of everything that is drawn by chance; the same seed gives the same report.
        progress: Whether to show a progress bar.
        plain: What is known of the plain network on the same images: "accuracy" (0 to 1), "images",
            "run" and perhaps "published_accuracy"; None looks among the runs beside the recorded one.
        baselines: Recordings of other codes of the same images, by the names that the page gives
            them; None for none.
        hierarchy: File of a class hierarchy that class paths are held against; None takes WordNet's
            where the classes are CIFAR-10's.
        fresh: Whether to make the report again even if nothing that it is made from has changed.

    Returns:
        The path of `index.html`.

    Raises:
        PathLensError: If the recording, a layer, the concept file or the folder is no good.
    """
    source = _opened(recording)
    chosen = source.layers.select(layers)
    target = default_folder(source.folder) if out is None else Path(out).resolve()
    table = _concepts(source, concepts)
    plain = known_plain(source) if plain is None else plain
    beside = {name: _opened(other) for name, other in (baselines or {}).items()}
    matched(source, beside)  # a baseline of other images or layers is refused now
    if hierarchy is not None and not Path(hierarchy).is_file():
        raise PathLensError(
            f"There is no file {hierarchy}: give a class hierarchy with --hierarchy."
        )
    inputs = fingerprint(
        source,
        chosen,
        concepts=table,
        baselines=beside,
        hierarchy=hierarchy,
        plain=plain,
        seed=seed,
    )
    if not fresh and is_current(target, with_ledger(inputs, source)):
        return target / "index.html"
    with swapped_in(target) as folder, _progress(len(chosen), progress) as step:
        findings = collect(
            source, chosen, table, baselines=beside, hierarchy=hierarchy, seed=seed, step=step
        )
        # The report itself has noted beside the recording what it asked of the images.
        made_from = with_ledger(inputs, source)
        numbers = summarise(source, findings, plain=plain, concepts=table, inputs=made_from)
        _write(folder, findings, numbers, seed=seed, step=step)
    return target / "index.html"


def _write(
    folder: Path, findings: Findings, numbers: Mapping[str, Any], *, seed: int, step: _Step
) -> None:
    """Write everything that a report holds into an empty folder."""
    from pathlens.files import write_json, write_text
    from pathlens.reporting.figures import write_figures
    from pathlens.reporting.page import page
    from pathlens.reporting.page_data import page_data
    from pathlens.reporting.tables import write_tables

    write_tables(findings, folder / "tables")
    write_figures(findings, folder / "figures", step=step)
    step("page")
    write_json(folder / "summary.json", dict(numbers))
    data = page_data(findings.context.recording, findings, seed=seed)
    write_text(folder / "index.html", page(numbers, data))


def _opened(recording: str | Path | Recording) -> Recording:
    from pathlens.recording import open_recording

    return open_recording(recording) if isinstance(recording, str | Path) else recording


def _concepts(source: Recording, given: str | Path | None) -> pd.DataFrame | None:
    """The concept table asked for, else the recording's own, else None."""
    from pathlens.concepts import concept_matrix, read_concepts

    table = source.concepts() if given is None else read_concepts(Path(given))
    if table is not None:
        # A table of other images is refused now, not after minutes of analysis.
        concept_matrix(table, list(source.images["image"]))
    return table


@contextmanager
def _progress(layers: int, shown: bool) -> Iterator[_Step]:
    """A function that moves a progress bar on by one and says what is being done."""
    figures = 18 + 5 * layers  # about: traces are drawn for as many classes as there are
    with progress_bar(total=steps_needed(layers) + figures + 1, shown=shown, unit="step") as bar:
        started = False

        def step(what: str, /) -> None:
            nonlocal started
            if started:
                bar.update()
            started = True
            bar.set_description(what)

        yield step
        bar.set_description("report")
        bar.update(max(0, (bar.total or 0) - bar.n))
