import numpy as np
import torch

from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.visualization.labels import draw_labels
from fastpose_mtn.visualization.overlay import SIDE_COLOURS, identity_colour

NOSE, WRIST, HIP = (POSETRACK15.index(name) for name in ("nose", "left_wrist", "right_hip"))


def draw(**changes):
    keypoints = torch.zeros(3, 15, 3)
    keypoints[0, NOSE] = torch.tensor([60.5, 60.5, 2])
    keypoints[0, WRIST] = torch.tensor([60.5, 90.5, 1])
    fields = {
        "boxes": torch.tensor([[40.0, 40, 90, 140], [120, 40, 160, 140], [10, 150, 190, 190]]),
        "keypoints": keypoints,
        "identities": torch.tensor([5, -1, -1]),
        "ignore": torch.tensor([False, False, True]),
    }
    image = np.zeros((200, 200, 3), np.uint8)
    return draw_labels(image, PersonTargets(**{**fields, **changes}), POSETRACK15, "a.jpg"), image


def test_what_is_drawn():
    canvas, image = draw()
    assert not image.any()  # the argument is as it was
    assert canvas[100, 40].tolist() == list(identity_colour(5))
    assert canvas[100, 120].tolist() == [235, 235, 235]  # nobody knows who this is
    red = (canvas == (255, 60, 60)).all(axis=2)
    assert red[170, 11:189].any()  # hatched
    assert not red[:149].any()
    assert canvas[60, 60].tolist() == list(SIDE_COLOURS["middle"])  # visible: filled
    assert canvas[90, 60].tolist() == [0, 0, 0]  # hidden: hollow
    ring = canvas[86:96, 56:66].reshape(-1, 3).max(axis=0)
    assert ring[0] > ring[1] > ring[2] > 0  # the left side's orange


def test_nobody_to_draw():
    canvas = draw_labels(np.full((50, 60, 3), 9, np.uint8), PersonTargets.empty(15), POSETRACK15)
    assert (canvas == 9).all()
