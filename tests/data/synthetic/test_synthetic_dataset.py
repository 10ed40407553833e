"""The written dataset reads back as what was drawn; the command line names what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fastpose_mtn.commands.draw import main
from fastpose_mtn.data.posetrack.sequence import POSETRACK18_SLOTS
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene, contact_sheet, write_dataset
from fastpose_mtn.data.synthetic.dataset import image_id, labelled_frame, sequence_name
from fastpose_mtn.skeletons import POSETRACK15

CONFIG = SceneConfig(size_wh=(192, 108), people=4, occlusion=0.5)
FRAMES = 7


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    assert write_dataset(root, sequences=2, frames=FRAMES, seed=41, config=CONFIG) == [
        "000041_mpii_test", "000042_mpii_test",
    ]  # fmt: skip
    return root


def test_annotations_are_what_was_drawn(dataset: Path) -> None:
    record = json.loads((dataset / "annotations/000042_mpii_test.json").read_text())
    scene = SyntheticScene(42, SceneConfig(size_wh=(192, 108), people=4, occlusion=0.5, frame_count=FRAMES))
    assert len(record["images"]) == FRAMES
    assert record["categories"][0]["keypoints"] == list(POSETRACK18_SLOTS)
    slots = [POSETRACK18_SLOTS.index(joint) for joint in POSETRACK15.joints]
    labelled = 0
    for index, image in enumerate(record["images"]):
        frame = scene.frame(index)
        targets = frame.targets
        assert image["file_name"] == f"images/000042_mpii_test/{index:06d}.jpg"
        assert image["is_labeled"] is True
        assert (image["width"], image["height"], image["nframes"]) == (192, 108, FRAMES)
        people = [a for a in record["annotations"] if a["image_id"] == image["id"]]
        kept = np.flatnonzero(~targets.ignore)
        assert [a["track_id"] for a in people] == targets.identities[kept].tolist()
        assert len(image["ignore_regions_x"]) == int(targets.ignore.sum())
        for annotation, i in zip(people, kept, strict=True):
            x, y, w, h = annotation["bbox"]
            assert [x, y, x + w, y + h] == pytest.approx(targets.boxes[i].tolist(), abs=0.002)
            joints = np.array(annotation["keypoints"]).reshape(17, 3)
            assert joints[slots] == pytest.approx(targets.keypoints[i], abs=0.001)
            assert not joints[[3, 4]].any()  # the ears
            hx, hy, hw, hh = annotation["bbox_head"]
            assert [hx, hy, hx + hw, hy + hh] == pytest.approx(frame.head_boxes[i].tolist(), abs=0.002)
            labelled += 1
    assert labelled > FRAMES
    ids = [a["id"] for a in record["annotations"]]
    assert len(set(ids)) == len(ids)


def test_numbers_follow_from_file_names_as_poseval_reads_them(dataset: Path) -> None:
    """Folder "000041_mpii_test", file "000003.jpg": source 1, sequence 41, frame 3."""
    record = json.loads((dataset / "annotations/000041_mpii_test.json").read_text())
    assert record["images"][3]["id"] == 1_000_041_0003 == image_id(41, 3)
    assert record["images"][3]["vid_id"] == "000041"
    for image in record["images"]:
        folder, name = Path(image["file_name"]).parent.name, Path(image["file_name"]).stem
        sequence, source = folder.split("_")[:2]
        assert source == "mpii"
        assert image["id"] == 10**10 + int(sequence) * 10**4 + int(name)
        assert (dataset / image["file_name"]).exists()
    assert sequence_name(900000) == "900000_mpii_test"


def test_images_and_video_show_the_frames(dataset: Path) -> None:
    scene = SyntheticScene(41, SceneConfig(size_wh=(192, 108), people=4, occlusion=0.5, frame_count=FRAMES))
    with av.open(str(dataset / "videos/000041_mpii_test.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 30.0
        video = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
    assert len(video) == FRAMES
    for index in (0, FRAMES - 1):
        drawn = scene.frame(index).image.astype(float)
        file = dataset / f"images/000041_mpii_test/{index:06d}.jpg"
        jpeg = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        assert np.abs(jpeg - drawn).mean() < 6
        assert np.abs(video[index] - drawn).mean() < 12


def test_ignored_people_become_regions() -> None:
    for seed in range(50):
        frame = SyntheticScene(seed, SceneConfig(size_wh=(192, 108), frame_count=1, occlusion=1.0)).frame(0)
        if frame.targets.ignore.any():
            break
    labels, people = labelled_frame(frame, seed, 0, "images/x/000000.jpg")
    first = int(np.flatnonzero(frame.targets.ignore)[0])
    x1, y1, x2, y2 = frame.targets.boxes[first].tolist()
    assert labels.ignore_regions[0].tolist() == [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    assert int(frame.targets.identities[first]) not in people.track_ids


def test_contact_sheet_is_a_grid() -> None:
    sheet = contact_sheet(
        [1, 2, 3], columns=2, config=SceneConfig(size_wh=(128, 72), frame_count=3), tile_width=64
    )
    assert sheet.shape == (72, 128, 3)
    assert not sheet[36:, 64:].any()  # the empty fourth tile
    with pytest.raises(ValueError, match="expected images and columns, got 0 images, 4 columns"):
        contact_sheet([])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--size", "640"], "--size: expected WIDTHxHEIGHT such as 640x360, got '640'"),
        (["--size", "axb"], "--size: expected WIDTHxHEIGHT such as 640x360, got 'axb'"),
        (["--size", "65x65"], "size: expected an even width and height (video needs it), got 65x65"),
        (["--people", "-2"], "people: expected 0 to 200 persons, got -2"),
        (["--occlusion", "-0.1"], "occlusion: expected a number from 0 to 1, got -0.1"),
        (["--frames", "0"], "frames: expected 1 to 10000 a sequence, got 0"),
        (["--sequences", "0"], "sequences: expected at least 1, got 0"),
        (["--seed", "999999", "--sequences", "2"], "seed: expected seeds from 0 to 999999, got 999999 to 1000000"),
    ],
)  # fmt: skip
def test_command_names_what_is_wrong(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--output", str(tmp_path / "out"), *arguments])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: {text}\n"
    assert not (tmp_path / "out").exists()


def test_command_needs_somewhere_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: expected --output DIR (or --contact-sheet FILE)\n"
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stop:
        main(["--output", str(tmp_path / "file" / "dir"), "--frames", "1", "--sequences", "1"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file'}")


def test_command_writes_a_dataset_and_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--size", "96x64", "--frames", "2", "--people", "2", "--seed", "5"]
    main(["--output", str(tmp_path / "out"), "--sequences", "1", *small])
    assert sorted(p.name for p in (tmp_path / "out/images/000005_mpii_test").iterdir()) == [
        "000000.jpg",
        "000001.jpg",
    ]
    main(["--contact-sheet", str(tmp_path / "sheet.jpg"), *small])
    picture = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert picture.shape == (4 * 320, 3 * 480, 3)
    with pytest.raises(SystemExit) as stop:
        main(["--contact-sheet", str(tmp_path / "sheet.nope"), *small])
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith(
        "error: --contact-sheet: expected a name that ends in .jpg or .png, got 'sheet.nope'\n"
    )
