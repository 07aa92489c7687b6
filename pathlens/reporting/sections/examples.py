"""Explained images: the filters whose ablation changes a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pathlens.errors import PathLensError
from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import PENDING, Context, Gap, Named, PageImages, Section

Examples = list[dict[str, Any]]


class ExplainedImages(Section["Examples | Gap"]):
    """Single images, with the filters that their decision hangs on."""

    name = "examples"
    kind = "explained images"

    def steps(self, layers: int) -> int:
        """One for the whole."""
        return 1

    def find(self, context: Context) -> Examples | Gap:
        """Read what lies beside the recording."""
        from pathlens.recording.beside import read_examples

        context.step("explained images")
        try:
            found = read_examples(context.recording)
        except PathLensError as error:
            return Gap(str(error))
        return found or Gap(
            "No image was explained: run `pathlens probe` on the recording, where its network and "
            "images are, and make the report again.",
            PENDING,
        )

    def results(self, found: Examples | Gap) -> Iterator[Named]:
        """Only the gap has a name: the pictures are no figure of a paper."""
        if isinstance(found, Gap):
            yield Named("explained images", "", found)

    def data(self, found: Examples | Gap, page: PageImages) -> dict[str, Any]:
        """The images as they were written, numbers rounded."""
        if isinstance(found, Gap):
            return {"gap": found.reason}
        return {"images": [{key: _rounded(one[key]) for key in one} for one in found]}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return finite(value, 4)
