"""Associations written down by hand, and a slow oracle of what ablating them does."""

import numpy as np
import pandas as pd
import torch

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.ledger import Question
from pathlens.analysis.associating.targets import split_halves
from pathlens.probing.combination_ablation import ablate_combinations
from pathlens.probing.read_out import fit_read_out
from pathlens.training import load
from tests.probing.test_ablation import by_hand, pictures

LAYER, LAST = "stage3.0.0", "stage3.1.0"
GATING = "gating.stage3/"


def concept_table(recording, **concepts):
    """A concept table of bool (images,) each."""
    parts = [
        pd.DataFrame(
            {"image": recording.images["image"], "concept": name, "value": on.astype(float)}
        )
        for name, on in concepts.items()
    ]
    return pd.concat(parts, ignore_index=True)


def asked(recording, rows, *, split=0, confirmed=True, **concepts):
    """Associations of (layer name, combination) with concepts, bool (images,), as found by a split."""
    tested = ~split_halves(recording.images, split)
    table = []
    for name, combination, concept in rows:
        filters = [int(x) for x in combination.split("+")]
        on = recording.bits(name)[tested][:, filters].all(axis=1)
        has = concepts[concept][tested]
        table.append(
            {
                "layer": recording.layers.find(name).index,
                "name": name,
                "combination": combination,
                "concept": concept,
                "n": int(tested.sum()),
                "support": int(on.sum()),
                "precision": float(has[on].mean()) if on.any() else np.nan,
                "confirmed": confirmed,
            }
        )
    return Associations(
        frame=pd.DataFrame(table),
        baselines=pd.DataFrame(),
        searched={},
        class_sets={},
        level=0.05,
        beam=None,
        correction="holm",
        question=Question(split, "0" * 16),
        left_out="",
    )


def measure(recording, rows, concepts, **settings):
    options = {"resamples": 0, "random_sets": 0, "progress": False, **settings}
    found = asked(recording, rows, **concepts)
    return ablate_combinations(
        recording, found, concepts=concept_table(recording, **concepts), **options
    )


def varying(recording, layer, count):
    """Filters of a layer whose gates differ most between images."""
    rates = recording.bits(layer).mean(axis=0)
    return np.sort(np.argsort(np.abs(rates - 0.5))[:count])


def joined(filters):
    return "+".join(map(str, filters))


def alone(network, x, off=(), layer=LAYER, frozen=None):
    """Features and scores (1, ...) of one image with some filters of a layer off."""
    kept = {}

    def change(name, gates, out):
        gates = gates.clone()
        if name == layer:
            gates[:, list(off)] = 0
        gated = gates[:, :, None, None] * out
        kept[name] = gated.mean(dim=(2, 3)).numpy()
        return gated

    scores = by_hand(network, x, change, frozen)
    return kept[LAST][0], scores[0]


def one_by_one(recording, off, has, layer=LAYER, *, direct=False):
    """Changes of log odds, of the predicted class's probability, of being right, image by image."""
    network, x = load(recording.folder.parent.parent), pictures(recording)
    labels = recording.images["label"].to_numpy()
    discovery = np.flatnonzero(split_halves(recording.images, 0))
    own = [alone(network, x[i : i + 1]) for i in range(len(recording))]
    read_out = fit_read_out(
        np.stack([own[i][0] for i in discovery]).astype(float), has[discovery], discovery
    )
    table = {}
    for i in np.flatnonzero(~split_halves(recording.images, 0)):
        frozen = {x.name: recording.bits(x.name)[i : i + 1] for x in recording.layers}
        features, scores = alone(network, x[i : i + 1], off, layer, frozen if direct else None)
        before, said = own[i][1], own[i][1].argmax()
        odds = [float(read_out.log_odds(f[None].astype(float))[0]) for f in (features, own[i][0])]
        chance = [float(torch.tensor(s).softmax(0)[said]) for s in (scores, before)]
        right = [float(s.argmax() == labels[i]) for s in (scores, before)]
        table[i] = [after - first for after, first in (odds, chance, right)]
    return pd.DataFrame(table, index=["odds", "probability", "accuracy"]).T


def carried(number):
    """Only filters 5 and 6 carry what filter `number`'s gate says; 8 and 9 have the same gates."""

    def change(weights):
        for name in ("fc2.weight", "fc2.bias"):
            tensor = weights[f"{GATING}0/0.{name}"]
            tensor[[5, 6, 8, 9]] = tensor[number].clone()
        weights["model.stage3.0.1.bias"][[5, 6, 8, 9]] = 1.0
        conv = weights["model.stage3.1.0.weight"]
        conv[:, [8, 9]] *= 0.1  # hardly read by what comes later
        conv[:, [5, 6]] = 0
        conv[:2] = 0
        conv[:2, [5, 6]] = 0.5
        weights[f"{GATING}1/0.fc2.bias"][:] = 1000.0  # on for every image

    return change
