"""How often the plain network, whose codes stand beside paths, falls for what fools the other."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pathlens.analysis.rate_tests import wilson_interval
from pathlens.recording import Recording


def transfer(attacks: Mapping[str, Recording], plain: Mapping[str, Recording]) -> pd.DataFrame:
    """Shares of the images of each attack that fool the decoupled network.

    Where the plain network is not fooled, its codes are those of the true class whatever they look at: a
    detector on them is then a second opinion, which one forward pass does not give.

    Args:
        attacks: Label to attacked images as the decoupled network recorded them.
        plain: The same images as a code of the plain network recorded them.

    Returns:
        A row an attack that fools it at all: attack, n (images that fool the decoupled network),
        plain_fooled with its 95 % interval (Wilson), and same_class (the plain network takes them for
        the same class).
    """
    rows = []
    for label, recording in attacks.items():
        ours = recording.images.set_index("image")
        theirs = plain[label].images.set_index("image").loc[ours.index]
        success = ours["prediction"] != ours["label"]
        n = int(success.sum())
        if not n:
            continue
        fooled = int((theirs["prediction"] != ours["label"])[success].sum())
        same = int((theirs["prediction"] == ours["prediction"])[success].sum())
        low, high = wilson_interval(fooled, n)
        rows.append(
            {
                "attack": label,
                "n": n,
                "plain_fooled": fooled / n,
                "plain_fooled_low": float(low),
                "plain_fooled_high": float(high),
                "same_class": same / n,
            }
        )
    return pd.DataFrame(rows)
