import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_images import labelled

from fastpose_mtn.checkpoints.loading import portable_config
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import build_augmentations
from fastpose_mtn.data.transforms.paste import Cutout, PersonPaste, _pasted, find_cutouts

RED = (200, 0, 0)


def write_cutout(folder, name="a", *, size_wh=(40, 60), inside=(10, 5, 30, 55), mask_wh=None):
    """A red person with a rectangle for an outline in a green picture."""
    for part in ("images", "masks"):
        (folder / part).mkdir(exist_ok=True, parents=True)
    image = np.full((size_wh[1], size_wh[0], 3), (0, 255, 0), np.uint8)
    width, height = mask_wh or size_wh
    mask = np.zeros((height, width), np.uint8)
    x1, y1, x2, y2 = inside
    mask[y1:y2, x1:x2] = 255
    image[y1:y2, x1:x2] = RED
    cv2.imwrite(str(folder / "images" / f"{name}.png"), image[..., ::-1])
    cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    return folder


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cutouts")
    write_cutout(folder, "a")
    return find_cutouts(write_cutout(folder, "b", size_wh=(80, 50), inside=(5, 5, 70, 45)))


def person(joints, box=(20, 20, 60, 100), size_hw=(120, 160)):
    """One person on grey with these joints, all visible."""
    keypoints = np.zeros((1, 15, 3), np.float32)
    keypoints[0, : len(joints)] = [[x, y, 2] for x, y in joints]
    return labelled(np.full((*size_hw, 3), 100, np.uint8), [box], keypoints)


def test_covered_joints_are_hidden_and_the_pasted_person_is_ignored():
    before = person([(25, 30), (50, 50), (58, 98)])
    pixels, mask = np.full((60, 30, 3), RED, np.uint8), np.full((60, 30), 255, np.uint8)
    mask[:30, 15:] = 0  # the upper right quarter is open
    after = _pasted(before, pixels, mask, (30, 40, 60, 100))
    red = (after.image == RED).all(axis=2)
    assert red[70:100, 30:60].all()
    assert red[40:100, 30:45].all()
    assert red.sum() == 30 * 60 - 15 * 30
    assert after.targets.keypoints[0, :3, 2].tolist() == [2, 2, 1]
    assert after.targets.boxes.tolist() == [[20, 20, 60, 100], [30, 40, 60, 100]]
    assert after.targets.ignore.tolist() == [False, True]
    assert after.targets.identities.tolist() == [0, -1]
    assert (after.targets.keypoints[1] == 0).all()
    assert (before.image == 100).all()
    assert before.targets.keypoints[0, 2, 2] == 2


def test_who_is_covered_by_more_than_a_share_is_ignored():
    before = person([(25, 30)])
    whole = np.full((8, 4), 255, np.uint8)
    pixels = np.full((8, 4, 3), RED, np.uint8)
    assert _pasted(before, pixels, whole, (20, 20, 60, 66)).targets.ignore[0].item() is False  # 57 %
    assert _pasted(before, pixels, whole, (20, 20, 60, 70)).targets.ignore[0].item() is True  # 62 %
    # a hole in the outline covers nothing, whatever the rectangle around it
    ring = cv2.resize(whole, (40, 80))
    ring[10:70, 5:35] = 0
    assert _pasted(before, pixels, ring, (20, 20, 60, 100)).targets.ignore[0].item() is False


@pytest.mark.parametrize(
    ("place", "box"),
    [((-20, -30, 20, 50), [0, 0, 20, 50]), ((150, 100, 190, 180), [150, 100, 160, 120])],
)
def test_over_the_border(place, box):
    after = _pasted(
        person([(25, 30)]), np.full((8, 4, 3), RED, np.uint8), np.full((8, 4), 255, np.uint8), place
    )
    assert after.targets.boxes[1].tolist() == box
    x1, y1, x2, y2 = box
    assert (after.image[y1:y2, x1:x2] == RED).all()
    assert (after.image == RED).all(axis=2).sum() == (x2 - x1) * (y2 - y1)


@pytest.mark.parametrize(
    "place", [(160, 0, 200, 80), (0, 120, 40, 200), (-40, 0, 0, 80), (158, 118, 198, 198)]
)
def test_nobody_is_pasted_outside_the_image(place):
    before = person([(25, 30)])
    assert _pasted(before, np.zeros((8, 4, 3), np.uint8), np.full((8, 4), 255, np.uint8), place) is before


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_only_what_lies_under_the_pasted_changes(cutouts, seed):
    """Pixels, joints and flags; nothing is moved, uncovered or invented, and no background is pasted."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, [120, 80], (3, 2))
    boxes = np.concatenate([low, np.minimum(low + rng.uniform(10, 120, (3, 2)), [160, 120])], axis=1)
    keypoints = np.zeros((3, 15, 3), np.float32)
    keypoints[..., :2] = rng.uniform(0, [160, 120], (3, 15, 2))
    keypoints[..., 2] = rng.integers(0, 3, (3, 15))
    before = labelled(np.full((120, 160, 3), 100, np.uint8), boxes, keypoints, rng.random(3) < 0.3)
    after = PersonPaste(0.7, cutouts)(before, np.random.default_rng(seed))
    a, b = before.targets, after.targets
    assert np.array_equal(a.boxes, b.boxes[:3])
    assert np.array_equal(a.identities, b.identities[:3])
    assert b.ignore[3:].all()
    assert (b.ignore[:3] | ~a.ignore).all()
    assert (b.boxes[3:, 2:] <= (160, 120)).all()
    assert (b.boxes[3:] >= 0).all()
    hidden = a.keypoints[..., 2] != b.keypoints[:3, :, 2]
    assert (a.keypoints[hidden][:, 2] == 2).all()
    assert (b.keypoints[:3][hidden][:, 2] == 1).all()
    red = (np.abs(after.image.astype(int) - RED) <= 10).all(axis=2)
    visible = b.keypoints[b.keypoints[..., 2] == 2]
    assert not red[visible[:, 1].astype(int), visible[:, 0].astype(int)].any()
    greenish = after.image[..., 1].astype(int) - after.image[..., 0]
    assert greenish.max() <= 130  # at most the soft edge of an outline
    again = PersonPaste(0.7, cutouts)(before, np.random.default_rng(seed))
    assert np.array_equal(after.image, again.image)


def test_people_are_covered_as_often_as_asked_for_and_ignored_ones_never(cutouts):
    alone = person([(40, 50)])
    paste = PersonPaste(0.3, cutouts)
    done = [paste(alone, np.random.default_rng(seed)) is not alone for seed in range(200)]
    assert 40 < sum(done) < 80
    ignored = labelled(alone.image, alone.targets.boxes, ignore=[True])
    assert PersonPaste(1.0, cutouts)(ignored, np.random.default_rng(0)) is ignored


def test_an_empty_outline_pastes_nobody(tmp_path):
    cutouts = find_cutouts(write_cutout(tmp_path, inside=(0, 0, 0, 0)))
    alone = person([(40, 50)])
    assert PersonPaste(1.0, cutouts)(alone, np.random.default_rng(0)) is alone


def test_in_the_configuration(tmp_path):
    cfg = get_cfg()
    cfg.INPUT.AUG.PASTE, cfg.INPUT.AUG.PASTE_FOLDER = 0.2, str(write_cutout(tmp_path))
    (paste,) = [a for a in build_augmentations(cfg) if isinstance(a, PersonPaste)]
    assert paste == PersonPaste(0.2, (Cutout(tmp_path / "images/a.png", tmp_path / "masks/a.png"),))
    portable = portable_config(cfg)  # weights do not need the folder that they were trained with
    assert not any(isinstance(a, PersonPaste) for a in build_augmentations(portable))
    assert portable.INPUT.AUG.PASTE_FOLDER == ""


def test_folders_and_numbers_that_mean_nothing(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        cfg = get_cfg()
        cfg.INPUT.AUG.PASTE, cfg.INPUT.AUG.PASTE_FOLDER = 0.2, str(folder)
        with pytest.raises(
            ValueError, match=r"PASTE_FOLDER: expected a folder with people in images/NAME.jpg"
        ):
            build_augmentations(cfg)
    cfg.INPUT.AUG.PASTE_FOLDER = ""
    with pytest.raises(ValueError, match=r"PASTE_FOLDER: expected a folder .*, got ''"):
        build_augmentations(cfg)
    cfg.INPUT.AUG.PASTE, cfg.INPUT.AUG.PASTE_FOLDER = 1.5, str(write_cutout(tmp_path))
    with pytest.raises(ValueError, match="INPUT.AUG.PASTE: expected a probability, got 1.5"):
        build_augmentations(cfg)
    write_cutout(tmp_path, "b", mask_wh=(20, 60))
    with pytest.raises(
        ValueError, match=r"masks/b.png: expected an outline of 40x60 pixels, as b.png is, got 20x60"
    ):
        find_cutouts(tmp_path)
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"images/b.png has no outline; expected .*masks/b.png, 255 inside"):
        find_cutouts(tmp_path)
    (tmp_path / "masks" / "b.png").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"masks/b.png: expected an image"):
        find_cutouts(tmp_path)
