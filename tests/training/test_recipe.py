"""Recipes as files, and the schedules they describe."""

import math

import pytest

from pathlens.decoupling import GumbelHashing, TopK
from pathlens.errors import PathLensError
from pathlens.training.recipe import Hash, Losses, Optimiser, Recipe, load_recipe, shipped_recipes
from pathlens.training.schedule import (
    hashing_at,
    lr_factor,
    mutual_information_weight,
    sparsity_target,
)


@pytest.mark.parametrize("name", ["short", "released", "top-k"])
def test_shipped_recipes_load_and_survive_json(name):
    assert name in shipped_recipes()
    recipe = load_recipe(name)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_released_has_the_published_settings():
    recipe = load_recipe("released")
    assert (recipe.epochs, recipe.batch_size, recipe.optimiser.lr) == (200, 128, 0.1)
    assert recipe.optimiser.milestones == (0.5, 0.75)
    losses = recipe.losses
    assert (losses.alignment, losses.mutual_information) == (1.0, 0.01)
    assert (losses.sparsity_weight, losses.sparsity_target) == (1.5e-4, 0.0)
    assert recipe.gating.start == "released"
    assert not recipe.gating.standardise


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3\nspeed = 9", "Unknown setting 'speed'"),
        ("epochs = 'three'", "epochs must be a whole number"),
        ("epochs = true", "epochs must be a whole number"),
        ("[losses]\nsparsity = 'weights'", "sparsity must be gates or filters or macs"),
        ("[hash]\nkind = 'magic'", "kind must be semantic or gumbel"),
        ("[hash]\ntemperature = 0", "temperature must be at least 0.01"),
        ("[gating]\nkind = 'magic'", "kind must be hashed or top-k"),
        ("[gating]\nkind = ['top-k']", "kind must be hashed or top-k"),
        ("[gating]\nkind = 'top-k'\nreduction = 2", "Unknown setting 'reduction'"),
        ("[gating]\nboost = true", "Unknown setting 'boost'"),
        ("[gating]\nkind = 'top-k'\nboost = 1", "boost must be bool"),
        ("[gating]\nstart = 'released'\nbias = false", "a released start without biases is dead"),
        ("[gating]\nkind = 'top-k'\n[losses]\nalignment = 1", "no gradient reaches top-k gates"),
        (
            "[gating]\nkind = 'top-k'\n[losses]\nsparsity_weight = 1",
            "set sparsity_weight to 0",
        ),
        ("[losses]\nsaliency = 1e-8", "saliency is a loss of top-k gates"),
        ("[losses]\nattribute = 'colour'", "attribute must be class or superclass or concept or"),
        ("[losses]\nattribute = 'superclass'", "needs attribute_table"),
        ("[losses]\nattribute = 'concept'", "needs attribute_name"),
        ("[losses]\nattribute_buckets = 1", "attribute_buckets must be at least 2"),
        ("[optimiser]\nlr = 'fast'", "lr must be a number"),
        ("epochs = ", "not valid TOML"),
        ("optimiser = 3", r"\[optimiser\] must be a section"),
        ("[optimiser]\nlr = -1.0", "lr must be at least 0"),
        ("[optimiser]\nlr = nan", "lr must be at least 0"),
        ("[losses]\nmutual_information_ramp = []", "must be two shares"),
        ("batch_size = 1", "batch_size must be at least 2"),
        ("[gating]\nprojections = 1", "projections must be bool"),
        ("projections = true", r"projections must stand in the section \[gating\]"),
    ],
)
def test_a_bad_recipe_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(PathLensError, match=message):
        load_recipe(str(tmp_path / "own.toml"))


def test_a_recipe_of_an_earlier_version_means_what_it_meant():
    """Runs on disk hold no kind of hash, gating or attribute."""
    entry = load_recipe("short").to_json()
    for section, keys in {
        "hash": ("kind", "shared_coin", "temperature"),
        "gating": ("kind", "projections"),
        "losses": (
            "attribute",
            "attribute_table",
            "attribute_name",
            "attribute_buckets",
            "saliency",
        ),
    }.items():
        for key in keys:
            del entry[section][key]
    assert Recipe.from_json(entry) == load_recipe("short")


def test_a_table_is_looked_for_beside_the_recipe(tmp_path, monkeypatch):
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "own.toml").write_text("[losses]\nattribute_table = 'groups.csv'\n")
    monkeypatch.chdir(tmp_path)
    losses = load_recipe("recipes/own.toml").losses
    assert losses.attribute_table == str(folder / "groups.csv")


def test_the_kinds_of_a_recipe_are_those_that_are_trained(tmp_path):
    (tmp_path / "own.toml").write_text("[gating]\nkind = 'top-k'\nboost = false\nscale = 0.5\n")
    recipe = load_recipe(str(tmp_path / "own.toml"))
    assert recipe.gating == TopK(boost=False, scale=0.5)
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("kind", ["hashed", "top-k", "constant"])
def test_every_kind_of_gating_can_take_projections_in(tmp_path, kind):
    (tmp_path / "own.toml").write_text(f"[gating]\nkind = '{kind}'\nprojections = true\n")
    recipe = load_recipe(str(tmp_path / "own.toml"))
    assert recipe.projections
    assert recipe.to_json()["gating"]["projections"] is True
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert not load_recipe("short").projections


def test_an_unknown_recipe_lists_the_shipped_ones():
    with pytest.raises(PathLensError, match=r"Unknown recipe 'shrt'.*short"):
        load_recipe("shrt")


def test_cosine_warms_up_peaks_and_ends_at_nothing():
    settings = Optimiser(schedule="cosine", warmup=0.1)
    assert lr_factor(settings, 0.05) == pytest.approx(0.5)
    assert lr_factor(settings, 0.1) == pytest.approx(1.0)
    assert lr_factor(settings, 0.55) == pytest.approx(0.5)
    assert lr_factor(settings, 1.0) == pytest.approx(0.0)


def test_steps_divide_by_ten_at_each_milestone():
    settings = Optimiser(schedule="steps", milestones=(0.5, 0.75))
    factors = [lr_factor(settings, t) for t in (0, 0.49, 0.5, 0.75)]
    assert factors == pytest.approx([1, 1, 0.1, 0.01])


def test_noise_is_full_then_falls_then_gates_are_hard():
    settings = Hash(noise=2.0, noise_until=0.4, hard_from=0.8)
    assert hashing_at(settings, 0.3).noise == 2.0
    assert hashing_at(settings, 0.6).noise == pytest.approx(1.0)
    assert hashing_at(settings, 0.6).binary_share == 0.5
    assert hashing_at(settings, 0.8).noise == 0
    assert hashing_at(settings, 0.8).binary_share == 1.0


def test_the_released_noise_never_ends():
    settings = load_recipe("released").hash
    assert hashing_at(settings, 0.999).noise == 1.0
    assert hashing_at(settings, 0.999).binary_share == 0.5


def test_gumbel_noise_follows_the_same_schedule_at_one_temperature():
    settings = Hash(kind="gumbel", noise=2.0, noise_until=0.4, hard_from=0.8, temperature=0.7)
    found = [hashing_at(settings, t) for t in (0.3, 0.6, 0.8)]
    assert [hashing.noise for hashing in found] == pytest.approx([2.0, 1.0, 0.0])
    assert all(isinstance(h, GumbelHashing) and h.temperature == 0.7 for h in found)


@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_one_coin_for_all_layers_if_asked_for(progress):
    for shared in (False, True):
        hashing = hashing_at(Hash(hard_from=0.5, noise_until=0.5, shared_coin=shared), progress)
        assert hashing.shared_coin == shared


def test_weights_and_targets_follow_their_ramps():
    losses = Losses(
        mutual_information=0.4,
        mutual_information_ramp=(0.2, 0.6),
        sparsity_target=0.5,
        sparsity_lowered_until=0.5,
    )
    weights = [mutual_information_weight(losses, t) for t in (0.1, 0.4, 0.9)]
    assert weights == pytest.approx([0, 0.2, 0.4])
    targets = [sparsity_target(losses, t) for t in (0, 0.25, 0.5, 1)]
    assert targets == pytest.approx([1, 0.75, 0.5, 0.5])
    assert sparsity_target(losses, 0.125) == pytest.approx(1 - 0.25 * (1 - math.cos(math.pi / 4)))


def test_the_budget_can_be_set_without_a_copy_of_the_recipe():
    assert load_recipe("short").with_macs(0.7).losses.sparsity_target == 0.7
    with pytest.raises(PathLensError, match="no budget of MACs"):
        load_recipe("released").with_macs(0.7)
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(PathLensError, match="must be a share"):
            load_recipe("short").with_macs(share)


@pytest.mark.parametrize(
    ("images", "epochs", "expected"),
    [(45_000, 2, 128), (3_107, 2, 16), (2_700, 16, 64), (100, 1, 16), (10**6, 1, 128)],
)
def test_small_sets_get_smaller_batches(images, epochs, expected):
    assert load_recipe("short").batch_for(images, epochs) == expected
    assert load_recipe("released").batch_for(images, epochs) == 128
