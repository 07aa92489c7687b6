"""What is known of the plain network on the recorded images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pathlens.errors import PathLensError
from pathlens.runs import Run, plain_twin

if TYPE_CHECKING:
    from pathlens.recording import Recording


def known_plain(recording: Recording) -> dict[str, Any] | None:
    """Accuracy of the plain network that the recorded run is to be compared with.

    It is looked for among the runs beside the recorded one, and only counts if it was measured on
    the recorded images, which are then all test images of the run's own data.

    Returns:
        "run", "accuracy" (0 to 1), "images" and "epochs"; None if nothing is known.
    """
    folder = recording.folder.resolve().parent.parent
    origin = recording.manifest["dataset"]
    if not (folder / "config.json").is_file() or origin.get("split") != "test":
        return None
    try:
        twin = plain_twin(Run(folder))
        if twin is None:
            return None
        measured, config = twin.result["test"], Run(folder).config
    except (PathLensError, KeyError):
        return None  # a damaged run beside must not keep the page from being made
    same_data = str(config["data"]).rstrip("/").endswith(str(origin.get("name")))
    if not same_data or measured["images"] != recording.manifest["images"]:
        return None
    return {
        "run": twin.name,
        "accuracy": measured["accuracy"],
        "images": measured["images"],
        "epochs": twin.config["epochs"],
    }
