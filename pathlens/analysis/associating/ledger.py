"""Which questions the confirmation images of a recording have already answered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pathlens.errors import PathLensError
from pathlens.recording.beside import CONFIRMATIONS

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording import Recording

_COLUMNS = ["recording", "split", "question"]


@dataclass(frozen=True)
class Question:
    """What was asked of the confirmation images of a split.

    Attributes:
        split: Seed of the split.
        id: Sixteen hexadecimal digits; the same for the same question, whenever it is asked.
    """

    split: int
    id: str


def question(split: int, concepts: pd.DataFrame | None, **asked: Any) -> Question:
    """The question of a report.

    Args:
        split: Seed of the split.
        concepts: The concept table.
        asked: Everything else that decides what is claimed: layers, sizes, quality, level.
    """
    import pandas as pd

    table = None
    if concepts is not None:
        hashes = pd.util.hash_pandas_object(concepts, index=False).to_numpy()
        table = hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()
    text = json.dumps({"split": split, "concepts": table, **asked}, sort_keys=True, default=str)
    return Question(split, hashlib.sha256(text.encode()).hexdigest()[:16])


def note_use(recording: Recording, asked: Question) -> int:
    """Note a question beside a recording; return how many the same split has answered by now.

    Confirmation images that were looked at to choose the next question confirm it less than they
    seem to. The same question asked again gives the same answer and is not counted twice.

    Args:
        recording: The recording.
        asked: The question, as `Associations.question` holds it.

    Raises:
        PathLensError: If the ledger is damaged or cannot be written.
    """
    import pandas as pd

    from pathlens.files import write_text

    path = recording.folder / CONFIRMATIONS
    table = _read(recording)
    row = {"recording": recording.hash, "split": str(asked.split), "question": asked.id}
    known = (table == pd.Series(row)).all(axis=1).any()
    if not known:
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
    same = (table["recording"] == recording.hash) & (table["split"] == str(asked.split))
    return int(same.sum())


def _read(recording: Recording) -> pd.DataFrame:
    import pandas as pd

    path = recording.folder / CONFIRMATIONS
    if not path.exists():
        return pd.DataFrame(columns=_COLUMNS, dtype=str)
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)[_COLUMNS]
    except (ValueError, KeyError) as error:
        raise PathLensError(
            f"{path} is no ledger of confirmations: move it away, and the count begins anew."
        ) from error
