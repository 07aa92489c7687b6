"""What is said of a finished run."""

import math

import pytest

from pathlens.training.evaluation import Evaluation
from pathlens.training.finishing import not_learnt


@pytest.mark.parametrize("loss", [1.4, 356.8, math.nan])
def test_a_network_that_is_no_better_than_guessing_is_said_to_have_learnt_nothing(loss):
    said = not_learnt(Evaluation(97, 0.278, loss, 1.0, 1.0), 4)
    assert "has not learnt" in said
    assert "guessing has 1.39" in said


def test_nothing_is_said_of_a_network_that_knows_something():
    assert not not_learnt(Evaluation(97, 0.5, 1.3, 1.0, 1.0), 4)
