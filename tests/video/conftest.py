import pytest
from rectangles import ColourTracker, RectangleEstimator


@pytest.fixture
def estimator():
    return RectangleEstimator()


@pytest.fixture
def tracker():
    return ColourTracker()
