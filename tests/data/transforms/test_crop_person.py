"""One person cut out of an image, with labels that follow the pixels."""

from dataclasses import replace

import numpy as np
import pytest
from labelled_images import labelled

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import build_crop_augmentations
from fastpose_mtn.data.transforms.crop_person import CropPerson
from fastpose_mtn.skeletons import HALPE136, POSETRACK15

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


@pytest.mark.parametrize(
    ("values", "least", "greatest"),
    [({"scale_range": (0.7, 1.35)}, 0.7, 1.35), ({"growth": (0.6, 0.6)}, 1.0, 1.6), ({}, 1.0, 1.0)],
)
def test_sizes_of_crops_are_drawn_evenly(values, least, greatest):
    """The distance of two joints tells a crop's size."""
    crop, sample, rng = (
        CropPerson(POSETRACK15, (256, 192), **{**STILL, **values}),
        dotted(),
        np.random.default_rng(0),
    )
    still = CropPerson(POSETRACK15, (256, 192), **STILL)(replace(sample, focus=0), rng)

    def extent(made):
        return np.ptp(made.targets.keypoints[0, :, 1])

    factors = [extent(still) / extent(crop(replace(sample, focus=0), rng)) for _ in range(60)]
    assert min(factors) == pytest.approx(least, abs=0.05)
    assert max(factors) == pytest.approx(greatest, abs=0.05)


def test_crops_move_and_turn_within_their_limits():
    values = {**STILL, "shift": 0.2, "shift_probability": 1.0, "scale_range": (1.0, 1.0)}
    crop, rng = CropPerson(POSETRACK15, (256, 192), **values), np.random.default_rng(0)
    centres = []
    for _ in range(60):
        x1, y1, x2, y2 = crop(replace(dotted(), focus=0), rng).targets.boxes[0]
        centres.append(((x1 + x2) / 2 - 96, (y1 + y2) / 2 - 128))
    across, down = np.abs(centres).max(axis=0)
    assert 30 < across <= 0.2 * 192 + 0.01
    assert 40 < down <= 0.2 * 256 + 0.01
    turned = CropPerson(
        POSETRACK15, (256, 192), **{**values, "shift": 0.0, "turn_probability": 1.0, "degrees": 20.0}
    )
    angles = []
    for _ in range(60):
        (x1, y1, _), (x2, y2, _) = turned(replace(dotted(), focus=0), rng).targets.keypoints[0, :2]
        (u1, v1, _), (u2, v2, _) = dotted().targets.keypoints[0, :2]
        angle = np.degrees(np.arctan2(v2 - v1, u2 - u1) - np.arctan2(y2 - y1, x2 - x1))
        angles.append((angle + 180) % 360 - 180)
    assert 15 < np.abs(angles).max() <= 20.01
    with pytest.raises(ValueError, match=r"SCALE_RANGE: expected 0 < least <= greatest, got \(0, 1\)"):
        CropPerson(POSETRACK15, (256, 192), scale_range=(0, 1))
    with pytest.raises(ValueError, match=r"SCALE_RANGE: expected 0 < least <= greatest, got \(1, 1, 1\)"):
        CropPerson(POSETRACK15, (256, 192), scale_range=(1, 1, 1))
    for growth in ((0.5,), (0.5, -0.5)):
        with pytest.raises(
            ValueError, match=r"INPUT\.CROP\.GROWTH: expected two shares of 0 or more, got \(0\.5"
        ):
            CropPerson(POSETRACK15, (256, 192), growth=growth)
    for name, key in (("degrees", "ROTATION"), ("scale", "SCALE"), ("shift", "SHIFT")):
        with pytest.raises(ValueError, match=rf"INPUT\.CROP\.{key}: expected 0 or more, got -0.5"):
            CropPerson(POSETRACK15, (256, 192), **{name: -0.5})
    with pytest.raises(ValueError, match=r"MODEL\.TOPDOWN\.PADDING: expected a factor above 0, got -1"):
        CropPerson(POSETRACK15, (256, 192), padding=-1)


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
    crop, *changes = build_crop_augmentations(cfg, POSETRACK15)
    assert (crop.size_hw, crop.skeleton.name, crop.fill_rgb) == ((256, 192), "POSETRACK15", (124, 116, 104))
    assert [type(change).__name__ for change in changes] == ["OcclusionPaste", "RandomColor", "RandomBlur"]
    cfg.INPUT.CROP.HALF_BODY = 1.5
    with pytest.raises(ValueError, match=r"INPUT\.CROP\.HALF_BODY: expected a probability, got 1\.5"):
        build_crop_augmentations(cfg, POSETRACK15)
    cfg.INPUT.RANDOM_FLIP = "vertical"
    with pytest.raises(ValueError, match=r"INPUT\.RANDOM_FLIP: expected horizontal or none, got 'vertical'"):
        build_crop_augmentations(cfg, POSETRACK15)


def test_what_a_configuration_says_of_crops():
    """The mean colour fills crops in RGB, whatever order the network's is in; published networks' crops are black there."""
    cfg = get_cfg()
    assert CropPerson.from_config(cfg, POSETRACK15).fill_rgb == (124, 116, 104)
    cfg.merge_from_list(["INPUT.FORMAT", "BGR", "MODEL.PIXEL_MEAN", [103.53, 116.28, 123.675]])
    assert CropPerson.from_config(cfg, POSETRACK15).fill_rgb == (124, 116, 104)
    cfg.merge_from_file("mspn_release")
    made = CropPerson.from_config(cfg, POSETRACK15)
    assert (made.fill_rgb, made.margins, made.scale_range) == ((0, 0, 0), (1.09, 1.135), (0.7, 1.35))
    assert made.coordinates.as_released
    cfg.INPUT.CROP.DISTRIBUTION = "even"
    with pytest.raises(ValueError, match="DISTRIBUTION: expected normal or uniform, got 'even'"):
        CropPerson.from_config(cfg, POSETRACK15)


class Proposals:
    """Draws one box, and remembers whose it was asked for."""

    def __init__(self, drawn):
        self.drawn, self.asked = np.array(drawn, float), []

    def __call__(self, box_xyxy, rng, part="whole"):
        self.asked.append((part, box_xyxy.tolist()))
        return self.drawn


def cropped(propose, sample, **values):
    crop = CropPerson(POSETRACK15, (256, 192), padding=1.0, propose=propose, **{**STILL, **values})
    return crop(replace(sample, focus=0), np.random.default_rng(0))


def test_crops_are_taken_around_proposals_once_training_is_so_far():
    propose = Proposals([10, 20, 160, 220])
    sample = cropped(propose, dotted())
    assert propose.asked == [("whole", [20, 30, 100, 170])]
    assert sample.targets.boxes[0] == pytest.approx(np.array([10, 10, 90, 150]) * 1.28, abs=0.01)
    plain = cropped(None, dotted())
    later = {"propose_from": 40}
    assert (cropped(propose, replace(dotted(), draw=39), **later).image == plain.image).all()
    assert (cropped(propose, replace(dotted(), draw=40), **later).image == sample.image).all()


def test_proposals_go_hardly_beyond_the_image():
    """By a quarter of the labelled box, 20 and 35 pixels; the image is 240 by 200."""
    far = cropped(Proposals([-70, -80, 360, 400]), dotted())
    near = cropped(Proposals([-20, -35, 260, 235]), dotted())
    assert far.targets.boxes == pytest.approx(near.targets.boxes, abs=0.01)
    outside = cropped(Proposals([300, 20, 400, 160]), dotted())  # nothing is left of it
    assert (outside.image == cropped(None, dotted()).image).all()


def test_labels_of_a_hand_alone_are_cropped_as_its_person_would_be():
    image = labelled(np.zeros((100, 100, 3), np.uint8), [[0, 0, 90, 90]], np.zeros((1, 136, 3), np.float32))
    hand = list(HALPE136.parts["hands"][:21])
    image.targets.keypoints[0, hand] = np.column_stack(
        (np.arange(21) + 40, np.arange(21) * 2 + 20, np.full(21, 2))
    )
    propose = Proposals([-200, -300, 200, 300])
    crop = CropPerson(HALPE136, (256, 192), propose=propose, **STILL)
    made = crop(replace(image, focus=0), np.random.default_rng(0))
    assert propose.asked == [("left_hand", [40, 20, 60, 60])]
    assert np.ptp(made.targets.keypoints[0, hand, 1]) < 20  # of 256: it is a small part of the crop
