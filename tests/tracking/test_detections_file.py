import dataclasses
import os

import numpy as np
import pytest

from fastpose_mtn.skeletons import COCO17, POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import DetectionsWriter, SavedFrame, load, save


def people(count, *, dim=4, joints=15, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 50, (count, 2))
    return PersonDetections(
        boxes=np.concatenate([corner, corner + 20], 1).astype(np.float32),
        scores=rng.random(count).astype(np.float32),
        keypoints=rng.random((count, joints, 3)).astype(np.float32),
        embeddings=None if dim is None else rng.normal(size=(count, dim)).astype(np.float32),
    )


def frames(counts, **kwargs):
    return [SavedFrame(10 + i, i / 8, (48, 64), people(n, seed=i, **kwargs)) for i, n in enumerate(counts)]


@pytest.mark.parametrize("dim", [4, None])
def test_what_is_saved_is_loaded(tmp_path, dim):
    path = tmp_path / "walk.detections.npz"
    saved = frames([2, 0, 3], dim=dim)
    save(path, saved, source="walk", skeleton=POSETRACK15)
    loaded = load(path)
    assert (loaded.source, loaded.skeleton, len(loaded)) == ("walk", POSETRACK15, 3)
    for before, after in zip(saved, loaded, strict=True):
        assert (after.number, after.time_s, after.image_size_hw) == (before.number, before.time_s, (48, 64))
        for name in ("boxes", "scores", "keypoints"):
            np.testing.assert_array_equal(getattr(after.detections, name), getattr(before.detections, name))
        if dim is None:
            assert after.detections.embeddings is None
        else:
            np.testing.assert_array_equal(after.detections.embeddings, before.detections.embeddings)
    assert os.listdir(tmp_path) == ["walk.detections.npz"]


def test_scene_cuts_are_kept_and_older_files_have_none(tmp_path):
    path = tmp_path / "walk.detections.npz"
    saved = [dataclasses.replace(frame, scene_cut=i == 1) for i, frame in enumerate(frames([2, 0, 3]))]
    save(path, saved, source="walk", skeleton=POSETRACK15)
    assert [frame.scene_cut for frame in load(path)] == [False, True, False]
    with np.load(path) as archive:
        older = {name: archive[name] for name in archive.files if name != "scene_cuts"}
    np.savez(path, **older)
    assert [frame.scene_cut for frame in load(path)] == [False, False, False]


def test_a_video_without_people(tmp_path):
    path = tmp_path / "empty.detections.npz"
    save(path, frames([0, 0]), source="empty", skeleton=POSETRACK15)
    assert [len(frame.detections) for frame in load(path)] == [0, 0]


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "none.detections.npz"
    save(path, [], source="none", skeleton=POSETRACK15)
    assert len(load(path)) == 0


def test_an_empty_frame_of_an_estimator_that_does_not_know_its_dimension(tmp_path):
    path = tmp_path / "a.detections.npz"
    save(
        path,
        [SavedFrame(0, 0.0, (9, 9), PersonDetections.empty(15)), *frames([1])[:1]],
        source="a",
        skeleton=POSETRACK15,
    )
    assert [len(frame.detections) for frame in load(path)] == [0, 1]
    assert next(iter(load(path))).detections.embeddings.shape == (0, 4)


def test_the_name_appears_only_when_the_file_is_whole(tmp_path):
    path = tmp_path / "a.detections.npz"
    writer = DetectionsWriter(path, source="a", skeleton=POSETRACK15)
    writer.write(SavedFrame(0, 0.0, (48, 64), people(2)))
    assert not path.exists()
    writer.close(complete=False)
    writer.close()
    assert not path.exists()

    def failing():
        yield frames([1])[0]
        raise RuntimeError("the camera is gone")

    with pytest.raises(RuntimeError):
        save(path, failing(), source="a", skeleton=POSETRACK15)
    assert os.listdir(tmp_path) == []


def test_the_arrays_are_plain_numpy(tmp_path):
    path = tmp_path / "a.detections.npz"
    save(path, frames([2, 1]), source="a", skeleton=POSETRACK15)
    with np.load(path, allow_pickle=False) as archive:
        assert archive["people"].tolist() == [2, 1]
        assert archive["boxes"].shape == (3, 4)
        assert archive["embeddings"].shape == (3, 4)
        assert str(archive["skeleton"]) == "POSETRACK15"


def test_the_writer_refuses_what_does_not_fit(tmp_path):
    writer = DetectionsWriter(tmp_path / "a.detections.npz", source="a", skeleton=POSETRACK15)
    writer.write(SavedFrame(0, 1.0, (48, 64), people(1)))
    with pytest.raises(ValueError, match=r"frame 1: time went back from 1\.0 to 0\.5 s"):
        writer.write(SavedFrame(1, 0.5, (48, 64), people(1)))
    with pytest.raises(ValueError, match="frame 0: comes after frame 0"):
        writer.write(SavedFrame(0, 2.0, (48, 64), people(1)))
    with pytest.raises(ValueError, match="expected the 15 joints of POSETRACK15, got 17"):
        writer.write(SavedFrame(1, 2.0, (48, 64), people(1, joints=len(COCO17))))
    with pytest.raises(ValueError, match="frame 1: embeddings have 0 values, those of earlier frames have 4"):
        writer.write(SavedFrame(1, 2.0, (48, 64), people(1, dim=None)))
    writer.close()
    with pytest.raises(ValueError, match="closed; frame 1 comes too late"):
        writer.write(SavedFrame(1, 2.0, (48, 64), people(1)))
    assert [len(frame.detections) for frame in load(tmp_path / "a.detections.npz")] == [1]


def rewrite(path, **changes):
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": None, "people": None}, "not a file of saved detections: it lacks boxes, people"),
        (
            {"boxes": np.zeros((2, 4), np.float32)},
            r"boxes: expected shape \(3, 4\) of kind 'f', got \(2, 4\) float32",
        ),
        ({"people": np.array([2, -1])}, "people: expected counts"),
        ({"skeleton": np.array("OCTOPUS8")}, "unknown skeleton 'OCTOPUS8'; known: POSETRACK15"),
        ({"skeleton": np.array("COCO17")}, r"keypoints: expected shape \(3, 17, 3\)"),
        (
            {"times_s": np.array([1.0, 0.5])},
            "seconds that never go back, got 0.5 for frame 11 after 1",
        ),
        ({"times_s": np.array([0.0, np.nan])}, "times_s: expected seconds, got nan for frame 11"),
        (
            {"frame_numbers": np.array([11, 10])},
            "frame_numbers: expected each larger than the one before, got 10 after 11; sort all arrays by time",
        ),
        ({"frame_numbers": np.array([10, 10])}, "got 10 after 10"),
        ({"frame_numbers": np.array([-1, 0])}, "frame_numbers: expected 0 or more, got -1"),
        ({"file_names": np.array(["a.png", "a.png"])}, "expected each name once, got 'a.png' twice"),
        ({"file_names": np.array(["a.png", "../b.png"])}, r"without folders, got '\.\./b\.png'"),
        (
            {"boxes": np.array([[0.1, 0.2, 0.5, 0.75]] * 3, np.float32)},
            r"boxes: expected pixels, got numbers of at most 0\.75 throughout",
        ),
        ({"image_sizes_hw": np.array([[48, 64], [-48, 64]])}, "image_sizes_hw: expected pixels, got -48"),
        ({"format": np.array("2")}, "expected format 'fastpose-mtn detections 1', got '2'"),
        ({"scores": np.full(3, 7, np.float32)}, r"frame 10: PersonDetections\.scores: expected values in"),
        ({"source": np.array([{}], object)}, "not a readable file of saved detections"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, changes, message):
    path = tmp_path / "bad.detections.npz"
    save(path, frames([2, 1]), source="a", skeleton=POSETRACK15)
    rewrite(path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_no_archive_or_cut_short(tmp_path):
    path = tmp_path / "a.detections.npz"
    with pytest.raises(ValueError, match="no such file; track_video.py --save-detections writes"):
        load(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match="not a readable file"):
        load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match="expected an archive of arrays"):
        load(tmp_path / "array.npy")
    save(path, frames([2, 1]), source="a", skeleton=POSETRACK15)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a readable file"):
        load(path)


def test_a_file_of_another_kind_is_not_taken_for_a_pickle(tmp_path):
    """NumPy would advise to load it without care."""
    (tmp_path / "walk.csv").write_text("frame,number\n0,0\n")
    with pytest.raises(
        ValueError, match="it is no archive; track_video.py --save-detections writes NAME"
    ) as told:
        load(tmp_path / "walk.csv")
    assert "pickle" not in str(told.value)
