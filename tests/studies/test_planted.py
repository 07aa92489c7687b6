from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import associations
from pathlens.concepts import concept_matrix
from tests.studies.conftest import modules_of

STUDY = Path(__file__).parents[2] / "analyses" / "planted"
MODULES = (
    *("worlds", "rates", "planting", "running", "tables"),
    *("recovery", "chance", "mixed", "beyond_class", "scenes"),
)


@pytest.fixture(scope="module")
def study():
    """The modules of the study."""
    with modules_of(MODULES, STUDY) as found:
        yield found


def some_world(study, seed, classes=4, filters=40):
    """Planted pairs and triples, a concept by class alone, and noise."""
    rng = np.random.default_rng(seed)
    rates = study.planting.marginal_rates("drawn", filters, rng)
    base = study.planting.ground(rates, (1, 2, 3), rng, classes=classes)
    concept, shifted = study.worlds.Concept, study.planting.shifted
    planted = [
        study.planting.planted(
            base.world,
            f"of {len(members)}",
            members,
            0.4,
            shifted(0.2, classes, 1.0, rng) if classes > 1 else np.array([0.2]),
            within=False,
        )
        for members in base.sets
    ]
    alone = shifted(0.3, classes, 1.5, rng) if classes > 1 else np.array([0.3])
    others = [concept("alone", (), 0.0, alone), concept("noise", (), 0.0, np.full(classes, 0.1))]
    return base, replace(base.world, concepts=(*planted, *others))


def on_by_integration(world, filters):
    """Chance that filters are on: over the common number of each group, step by step."""
    total = np.ones(len(world.rates))
    for group in set(world.group[list(filters)].tolist()):
        those = [one for one in set(filters) if world.group[one] == group]
        for k, rates in enumerate(world.rates):
            edges = np.unique([0.0, *rates[those], 1.0])
            chance = 0.0
            for low, high in pairwise(edges):
                each = [
                    world.loyalty[one] * (rates[one] >= high)
                    + (1 - world.loyalty[one]) * rates[one]
                    for one in those
                ]
                chance += (high - low) * np.prod(each)
            total[k] *= chance
    return total


@pytest.mark.parametrize("seed", range(4))
def test_chances_are_those_of_integration(study, seed):
    _, world = some_world(study, seed)
    rng = np.random.default_rng(seed)
    for size in (1, 2, 3, 4, 5):
        for _ in range(20):
            pool = np.flatnonzero(world.group == rng.choice(world.group))
            pool = np.union1d(pool, rng.integers(0, len(world.group), 4))
            filters = rng.choice(pool, min(size, len(pool)), replace=False).tolist()
            assert world.on(filters) == pytest.approx(on_by_integration(world, filters), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_drawn_is_what_the_world_says(study, seed):
    base, world = some_world(study, seed)
    images = 60_000
    recording = world.draw(images, np.random.default_rng(seed + 100))
    on, labels = recording.on, recording.images["label"].to_numpy()
    matrix, known = concept_matrix(recording.table, recording.images["image"].tolist())
    assert known.all()
    assert np.bincount(labels) / images == pytest.approx(np.full(4, 0.25), abs=0.01)
    for k in range(4):
        assert on[labels == k].mean(axis=0) == pytest.approx(world.rates[k], abs=0.025)
    member = base.sets[1][0]
    for other in base.distractors[member]:
        drawn = np.corrcoef(on[:, member], on[:, other])[0, 1]
        assert drawn == pytest.approx(world.correlation(member, other), abs=0.025)
    pairs = [(one, f"of {len(one)}") for one in base.sets]
    pairs += [((base.sets[2][0], base.distractors[member][0]), "of 3"), ((0, 1), "alone")]
    pairs += [((2,), "class:1"), (base.sets[1], "noise"), (base.sets[2], "of 2")]
    for filters, name in pairs:
        combination = on[:, list(filters)].all(axis=1)
        has = labels == 1 if name == "class:1" else matrix[name].to_numpy() > 0
        drawn = np.corrcoef(combination, has)[0, 1]
        assert drawn == pytest.approx(world.phi(filters, name), abs=0.025)
        if name != "class:1":
            left = [
                x - np.array([x[labels == k].mean() for k in range(4)])[labels]
                for x in (combination, has)
            ]
            assert np.corrcoef(*left)[0, 1] == pytest.approx(
                world.phi_within(filters, name), abs=0.025
            )


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("phi", [0.3, 0.7])
def test_planted_phi_is_exactly_what_was_asked_for(study, phi, within):
    for seed in range(5):
        base, world = some_world(study, seed)
        rng = np.random.default_rng(seed)
        for members in base.sets:
            otherwise = study.planting.shifted(0.2, 4, 1.0, rng)
            one = study.planting.planted(world, "x", members, phi, otherwise, within=within)
            told = replace(world, concepts=(one,))
            reached = told.phi_within if within else told.phi
            assert reached(members, "x") == pytest.approx(phi, abs=1e-9)
            assert 0 <= one.strength <= 1


@pytest.mark.parametrize("kind", ["drawn", "resnet20", "squeezenet"])
def test_members_and_distractors_are_as_claimed(study, kind):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rates = study.planting.marginal_rates(kind, 256, rng)
        base = study.planting.ground(rates, (1, 2, 3), rng)
        members = [one for those in base.sets for one in those]
        assert [len(those) for those in base.sets] == [1, 2, 3]
        assert len(set(members)) == 6
        assert ((rates[members] > 0.2) & (rates[members] < 0.7)).all()
        assert base.world.rates[0] == pytest.approx(rates)
        for member in members:
            first, second = (base.world.correlation(member, x) for x in base.distractors[member])
            assert first == pytest.approx(0.7, abs=0.02)
            assert 0.29 < second < 0.71
        for one, other in pairwise(members):
            assert base.world.correlation(one, other) == pytest.approx(0, abs=1e-12)
        rest = np.flatnonzero(base.world.group >= 6)
        assert np.bincount(base.world.group[rest]).max() <= 8


def test_classes_confound_as_claimed(study):
    for seed in range(6):
        base, world = some_world(study, seed)
        odds = np.log(world.rates / (1 - world.rates))
        assert odds.std(axis=0)[base.by_class] == pytest.approx(1.0, abs=1e-6)
        assert odds.std(axis=0)[~base.by_class] == pytest.approx(0.0, abs=1e-9)
        assert 0 < base.by_class.mean() < 1
        one = study.planting.shifted(0.1, 10, 1.5, np.random.default_rng(seed))
        assert one.mean() == pytest.approx(0.1)
        assert np.log(one / (1 - one)).std() == pytest.approx(1.5)


@pytest.mark.parametrize("seed", range(4))
def test_truth_of_a_claim_is_dependence_in_the_world(study, seed):
    base, world = some_world(study, seed, classes=1)
    pair, triple = base.sets[1], base.sets[2]
    distractor = base.distractors[pair[0]][0]
    stranger = int(np.flatnonzero(world.group >= 6)[0])
    for true in (pair, pair[:1], (*pair, stranger), (distractor,), (distractor, stranger)):
        assert world.goes_with(true, "of 2")
    for false in (triple, (stranger,), triple[:1], base.distractors[triple[0]]):
        assert not world.goes_with(false, "of 2")
    assert not any(world.goes_with((one,), "noise") for one in range(len(world.group)))
    # Where the class carries both, they do depend on each other, one way or the other.
    base, world = some_world(study, seed)
    covariance = np.array([world.covariance((x,), "alone") for x in range(len(world.group))])
    assert (np.abs(covariance[base.by_class]) > 1e-5).all()
    assert (np.abs(covariance[~base.by_class]) < 1e-12).all()
    within = [world.phi_within((one, one - 1), "alone") for one in range(len(world.group))]
    assert within == pytest.approx(np.zeros(len(within)), abs=1e-12)
    one = int(np.flatnonzero(base.by_class)[0])
    signs = {world.goes_with((one,), f"class:{k}") for k in range(4)}
    assert signs == {True, False}


def test_worlds_of_the_studies_are_what_they_say(study):
    for job in study.recovery.jobs(3):
        world = study.recovery.make(job, np.random.default_rng(0))
        assert world.rates.shape == (max(job.classes, 1), job.filters)
        for one in world.concepts:
            assert world.phi(one.members, one.name) == pytest.approx(job.phi, abs=1e-9)
    for job in study.chance.jobs(1):
        world = study.chance.make(job, np.random.default_rng(0))
        names = [one.name for one in world.concepts] + [f"class:{k}" for k in range(job.classes)]
        rates = [world.has(one.name).mean() for one in world.concepts]
        assert rates == pytest.approx(study.chance.CONCEPT_RATES)
        for members in ((0,), (3, 5), (1, 2, 9)):
            assert not any(abs(world.covariance(members, name)) > 1e-12 for name in names)
    for job in study.mixed.jobs(1):
        world = study.mixed.make(job, np.random.default_rng(0))
        named = [one for one in world.concepts if one.members]
        assert len(named) == study.mixed.CONCEPTS - job.noise
        for one in named:
            assert 0.05 - 1e-9 <= world.phi_within(one.members, one.name) <= 0.5 + 1e-9
        for one in world.concepts:
            if one.name.startswith("noise"):
                assert not world.goes_with((0, 5), one.name)
    for job in study.beyond_class.jobs(1):
        world = study.beyond_class.make(job, np.random.default_rng(0))
        own = world.concept(study.beyond_class.OWN)
        assert world.phi_within(own.members, own.name) == pytest.approx(job.phi, abs=1e-9)
        alone = [world.phi((x,), study.beyond_class.ALONE) for x in range(64)]
        assert max(alone) > 0.15
        assert world.phi_within((0, 3), study.beyond_class.ALONE) == pytest.approx(0, abs=1e-12)


def test_relations_to_the_planted_set(study):
    cases = {
        (1, 2): "exact",
        (1, 2, 5): "superset",
        (2,): "subset",
        (2, 5): "overlapping",
        (5,): "disjoint",
        None: "none",
    }
    for found, named in cases.items():
        assert study.recovery.relation(found, (1, 2)) == named


def test_an_outcome_by_hand(study):
    _, world = some_world(study, 0, classes=1)
    concept = world.concept("of 2")
    one, two = concept.members
    stranger = int(np.flatnonzero(world.group >= 6)[0])
    text = f"{one}+{two}"
    frame = pd.DataFrame(
        {
            "concept": ["of 2", "of 2", "of 2", "other"],
            "combination": [text, f"{text}+{stranger}", str(stranger), text],
            "phi_discovery": [0.30, 0.31, 0.2, 0.9],
            "confirmed": [True, True, True, True],
        }
    )
    found = study.recovery.outcome(frame, world, concept)
    assert found == {
        "best": "superset",
        "first": "exact",
        "tested": True,
        "confirmed": True,
        "better": False,
        "false": 1,
    }
    nothing = study.recovery.outcome(frame[frame["concept"] == "none"], world, concept)
    assert (nothing["best"], nothing["first"], nothing["confirmed"]) == ("none", "none", False)


def test_a_strong_pair_is_what_the_public_function_finds(study):
    _, world = some_world(study, 1, classes=1)
    recording = world.draw(5000, np.random.default_rng(0))
    frame = associations(recording, resamples=0).frame
    found = study.recovery.outcome(frame, world, world.concept("of 3"))
    assert found["best"] == "exact"
    assert found["confirmed"]


def smaller(study, monkeypatch):
    """One setting or two of every study, few runs."""
    monkeypatch.setattr(study.recovery, "BATCH", 2)
    monkeypatch.setattr(study.recovery, "IMAGES", 1000)
    monkeypatch.setattr(
        study.recovery, "SETTINGS", ((("drawn", 64, 0), 0.5), (("drawn", 64, 10), 0.5))
    )
    for name in ("chance", "mixed", "beyond_class"):
        monkeypatch.setattr(getattr(study, name), "SETTINGS", getattr(study, name).SETTINGS[:2])


def test_a_tiny_run_of_each_study_ends_in_a_table(study, monkeypatch, tmp_path):
    smaller(study, monkeypatch)
    for name in ("recovery", "chance", "mixed", "beyond_class"):
        module = getattr(study, name)
        table = tmp_path / f"{name}.csv"
        frame = study.running.run_missing(table, module.jobs(2), module.measure)
        assert len(frame) == (6 if name == "recovery" else 4)
        assert len(pd.read_csv(table)) == len(frame)
        assert not frame.isna().any(axis=None)
        made = getattr(study.tables, f"{name.split('_')[0]}_table")(pd.read_csv(table))
        assert study.tables.markdown(made).count("\n") == len(made) + 1
        assert made["runs"].tolist() == ([2] * 6 if name == "recovery" else [2, 2, 4])
    recovery = pd.read_csv(tmp_path / "recovery.csv")
    (tmp_path / "recovery_without_trimming.csv").write_bytes(
        (tmp_path / "recovery.csv").read_bytes()
    )
    study.tables.main(tmp_path)
    assert (tmp_path / "planted.svg").read_bytes().startswith(b"<?xml")
    assert (recovery[list(study.recovery.OUTCOMES)].sum(axis=1) == recovery["runs"]).all()


def test_tables_count_what_happened(study):
    frame = pd.DataFrame(
        {
            "rates": "drawn",
            "filters": 64,
            "classes": 0,
            "seed": range(4),
            "tested": 18,
            "claims": [0, 3, 0, 0],
            "claims_on_searched": [1, 1, 1, 0],
        }
    )
    row = study.tables.chance_table(frame).iloc[0]
    assert row["runs with a claim, %"].startswith("25.0 [")
    assert row["had the searched images been tested, %"].startswith("75.0 [")
    mixed = pd.DataFrame(
        {
            "rates": "drawn",
            "noise": 3,
            "classes": 0,
            "tested": 10,
            "true": 5,
            "claims": [4, 0],
            "false_claims": [1, 0],
        }
    )
    # One claim in four is false in the first run, and none is made in the second.
    assert study.tables.mixed_table(mixed).iloc[0]["mean false share, %"].startswith("12.50 ")


def test_redrawn_controls_have_the_rates_and_nothing_else_changes(study):
    images = pd.Series([f"{i}" for i in range(20_000)])
    table = pd.DataFrame(
        {
            "image": ["0", "1", "1"],
            "concept": ["sun", "control:a", "colour:red"],
            "value": 1.0,
        }
    )
    found = study.scenes.redrawn(table, images, np.random.default_rng(0))
    kept = found[~found["concept"].str.startswith("control:")]
    assert kept["concept"].tolist() == ["sun", "colour:red"]
    counts = found["concept"].value_counts()
    for name, rate in study.scenes.CONTROL_RATES.items():
        assert counts[name] / 20_000 == pytest.approx(rate, abs=0.025)
    other = study.scenes.redrawn(table, images, np.random.default_rng(1))
    assert not found.equals(other)
    kinds = [study.scenes.kind_of(x) for x in ("control:a", "class:cross", "sun")]
    assert kinds == list(study.scenes.KINDS)


def test_an_interrupted_study_comes_to_the_same_bytes(study, monkeypatch, tmp_path):
    smaller(study, monkeypatch)
    run, chance = study.running.run_missing, study.chance
    whole, parted, several = (tmp_path / f"{x}.csv" for x in ("whole", "parted", "several"))
    jobs = chance.jobs(2)
    run(whole, jobs, chance.measure)
    asked = []

    def killed(job):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(job)
        return chance.measure(job)

    with pytest.raises(KeyboardInterrupt):
        run(parted, [jobs[3], *jobs[:3]], killed)
    assert len(pd.read_csv(parted)) == 2
    run(parted, jobs, chance.measure)
    assert parted.read_bytes() == whole.read_bytes()
    run(whole, jobs, pytest.fail)
    run(several, jobs, chance.measure, processes=2)
    assert several.read_bytes() == whole.read_bytes()
