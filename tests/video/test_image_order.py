import pytest

from fastpose_mtn.video.image_order import image_order


@pytest.mark.parametrize(
    "names",
    [
        ["000000.jpg", "000001.jpg", "000002.jpg"],
        ["frame_0001.png", "frame_0002.png", "frame_0007.png"],  # some were sorted out
        ["1.jpg", "2.jpg", "10.jpg"],
        ["Walk 7.JPG", "walk 8.jpg"],
        ["cam2_000100.jpg", "cam2_000130.jpg", "cam2_000160.jpg", "cam2_000190.jpg"],  # one frame a second
        [f"{33.4 * i:.0f}.jpg" for i in range(20)],  # milliseconds of a clock
    ],
)
def test_evenly_numbered_images_are_a_sequence(names):
    assert not image_order(names).independent


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["anna.jpg", "bob.jpg"], "anna.jpg and bob.jpg differ by more than a number"),
        (["frame1.jpg", "frame2.jpg", "cover.jpg"], "frame1.jpg and cover.jpg differ"),
        (["left_1.jpg", "left_2.jpg", "right_1.jpg"], "left_1.jpg and right_1.jpg differ"),
        (["IMG_20240101_120301.jpg", "IMG_20240103_091512.jpg"], "their names differ by several numbers, or by none"),
        (
            ["000000000139.jpg", "000000000285.jpg", "000000000632.jpg", "000000000724.jpg", "000000001268.jpg"],
            "the numbers in their names do not go on evenly",
        ),
        (["000000000785.jpg", "000000040083.jpg"], "the numbers in their names do not go on evenly"),
        (["0.jpg"], "it is a single one"),
        (["7.jpg", "7.png"], "their names differ by several numbers, or by none"),
    ],
)  # fmt: skip
def test_other_images_are_photographs(names, reason):
    order = image_order(names)
    assert order.independent
    assert reason in order.reason
