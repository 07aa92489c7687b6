"""Recipes as files, and the schedules they describe."""

import math

import pytest

from pathlens.errors import PathLensError
from pathlens.training.recipe import Hash, Losses, Optimiser, Recipe, load_recipe, shipped_recipes
from pathlens.training.schedule import (
    hashing_at,
    lr_factor,
    mutual_information_weight,
    sparsity_target,
)


@pytest.mark.parametrize("name", ["short", "released"])
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
        ("[losses]\nsparsity = 'weights'", "sparsity must be gates or macs"),
        ("[optimiser]\nlr = 'fast'", "lr must be a number"),
        ("epochs = ", "not valid TOML"),
        ("optimiser = 3", r"\[optimiser\] must be a section"),
        ("[optimiser]\nlr = -1.0", "lr must be at least 0"),
        ("[optimiser]\nlr = nan", "lr must be at least 0"),
        ("[losses]\nmutual_information_ramp = []", "must be two shares"),
        ("batch_size = 1", "batch_size must be at least 2"),
    ],
)
def test_a_bad_recipe_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(PathLensError, match=message):
        load_recipe(str(tmp_path / "own.toml"))


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
