"""One person cut out of an image, with labels that follow the pixels."""

from dataclasses import replace

import numpy as np
import pytest
from labelled_images import labelled

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import build_crop_augmentations
from fastpose_mtn.data.transforms.crop_person import CropPerson
from fastpose_mtn.skeletons import POSETRACK15

STILL = {"half_body": 0.0, "scale": 0.0, "turn_probability": 0.0, "flip_probability": 0.0}


def dotted(count=2, seed=0):
    """People whose joints are dots of their own colours."""
    rng = np.random.default_rng(seed)
    image = np.zeros((200, 240, 3), np.uint8)
    boxes = [[20 + 100 * i, 30, 100 + 100 * i, 170] for i in range(count)]
    keypoints = np.zeros((count, 15, 3), np.float32)
    for person, (x1, y1, _, _) in enumerate(boxes):
        places = rng.permutation(48)[:15]
        for joint, place in enumerate(places):
            x, y = x1 + 6 + 12 * (place % 6), y1 + 8 + 17 * (place // 6)
            image[y - 3 : y + 3, x - 3 : x + 3] = (255, 16 * joint + 10, 40 + 100 * person)
            keypoints[person, joint] = x, y, 1 + joint % 2
    return labelled(image, boxes, keypoints)


def centre_of(crop, joint, person):
    near = np.abs(crop.astype(int) - (255, 16 * joint + 10, 40 + 100 * person)).max(axis=2) < 6
    rows, columns = np.nonzero(near)
    return (columns.mean() + 0.5, rows.mean() + 0.5) if len(rows) else (np.inf, np.inf)


@pytest.mark.parametrize("seed", range(6))
def test_joints_follow_the_pixels(seed):
    crop = CropPerson(POSETRACK15, (256, 192), half_body=0.0)
    sample = crop(replace(dotted(), focus=1), np.random.default_rng(seed))
    assert sample.image.shape == (256, 192, 3)
    assert (len(sample.targets), sample.focus) == (1, None)
    height, width = sample.image.shape[:2]
    mirrored_names = list(POSETRACK15.flip_permutation)
    seen = 0
    for joint, (x, y, v) in enumerate(sample.targets.keypoints[0]):
        assert v in (1, 2)
        if not (8 < x < width - 8 and 8 < y < height - 8):
            continue
        seen += 1
        distances = [
            np.hypot(*np.subtract(centre_of(sample.image, drawn, 1), (x, y)))
            for drawn in (joint, mirrored_names[joint])
        ]
        assert min(distances) < 1.0
    assert seen >= 5


def test_left_and_right_change_places_in_a_mirror_image():
    plain = CropPerson(POSETRACK15, (256, 192), **STILL)(replace(dotted(), focus=0), np.random.default_rng(0))
    still = {**STILL, "flip_probability": 1.0}
    mirrored = CropPerson(POSETRACK15, (256, 192), **still)(
        replace(dotted(), focus=0), np.random.default_rng(0)
    )
    expected = plain.targets.keypoints[:, list(POSETRACK15.flip_permutation)]
    expected[..., 0] = 192 - expected[..., 0]
    assert mirrored.targets.keypoints == pytest.approx(expected, abs=1e-3)
    assert (mirrored.image == plain.image[:, ::-1]).mean() > 0.99
    assert mirrored.targets.boxes[0, [0, 2]] == pytest.approx(192 - plain.targets.boxes[0, [2, 0]], abs=1e-3)


def test_a_half_body_is_larger_and_the_other_half_is_outside():
    image = dotted(1)
    lower = [POSETRACK15.index(f"{side}_{j}") for j in ("hip", "knee", "ankle") for side in ("left", "right")]
    image.targets.keypoints[0, :, 1] = 60
    image.targets.keypoints[0, lower, 1] = 150
    still = {**STILL, "half_body": 1.0}
    crop = CropPerson(POSETRACK15, (256, 192), **still)
    shown = {True: 0, False: 0}
    for seed in range(20):
        sample = crop(replace(image, focus=0), np.random.default_rng(seed))
        inside = (sample.targets.keypoints[0, :, 1] >= 0) & (sample.targets.keypoints[0, :, 1] < 256)
        is_lower = np.isin(np.arange(15), lower)
        assert (inside == is_lower).all() or (inside == ~is_lower).all()
        shown[bool(inside[lower].all())] += 1
    assert min(shown.values()) >= 4


def test_few_labels_are_never_halved():
    image = dotted(1)
    image.targets.keypoints[0, 8:, 2] = 0
    crop = CropPerson(POSETRACK15, (256, 192), **{**STILL, "half_body": 1.0})
    sample = crop(replace(image, focus=0), np.random.default_rng(0))
    plain = CropPerson(POSETRACK15, (256, 192), **STILL)(replace(image, focus=0), np.random.default_rng(0))
    assert (sample.image == plain.image).all()
    assert (sample.targets.keypoints[0, 8:] == 0).all()


def test_without_a_focus_anyone_is_cropped_and_an_image_of_nobody_trains_nothing():
    crop = CropPerson(POSETRACK15, (128, 96), **STILL)
    chosen = {crop(dotted(), np.random.default_rng(s)).targets.identities[0] for s in range(10)}
    assert chosen == {0, 1}
    nobody = crop(labelled(np.zeros((20, 30, 3), np.uint8), []), np.random.default_rng(0))
    assert nobody.targets.ignore.tolist() == [True]
    assert nobody.image.shape == (128, 96, 3)


def test_the_configuration_and_what_it_must_not_say():
    cfg = get_cfg()
    cfg.merge_from_file("alphapose-s")
    crop, *changes = build_crop_augmentations(cfg)
    assert (crop.size_hw, crop.skeleton.name, crop.fill_rgb) == ((256, 192), "PERSON19", (124, 116, 104))
    assert [type(change).__name__ for change in changes] == ["OcclusionPaste", "RandomColor", "RandomBlur"]
    cfg.INPUT.CROP.HALF_BODY = 1.5
    with pytest.raises(ValueError, match=r"INPUT\.CROP\.HALF_BODY: expected a probability, got 1\.5"):
        build_crop_augmentations(cfg)
    cfg.INPUT.RANDOM_FLIP = "vertical"
    with pytest.raises(ValueError, match=r"INPUT\.RANDOM_FLIP: expected horizontal or none, got 'vertical'"):
        build_crop_augmentations(cfg)
