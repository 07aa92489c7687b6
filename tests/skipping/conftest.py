import pytest

from pathlens.skipping.speed.timing import threads


@pytest.fixture
def one_thread():
    """Some compiled loops run where torch has no second thread to run its own operators in."""
    with threads(1):
        yield
