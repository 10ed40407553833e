import numpy as np
import pytest
from labelled_images import LEFT_WRIST, RIGHT_WRIST, labelled


@pytest.fixture
def person():
    """A 40x30 image with one bright pixel at the left wrist; the right wrist is hidden."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[12, 9] = 255
    keypoints = np.zeros((1, 15, 3), np.float32)
    keypoints[0, LEFT_WRIST] = 9.5, 12.5, 2
    keypoints[0, RIGHT_WRIST] = 20.5, 13.5, 1
    return labelled(image, [[5, 4, 25, 28]], keypoints)
