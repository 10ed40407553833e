"""Flow of textures that were moved by known distances, at full and at reduced size."""

from urllib.error import URLError

import cv2
import numpy as np
import pytest

from fastpose_mtn.errors import InputError
from fastpose_mtn.tracking import optical_flow
from fastpose_mtn.tracking.optical_flow import OpticalFlow

POINTS = np.array([[60.0, 40.0], [100.5, 70.5], [150.0, 100.0]])


def texture(height=140, width=220, *, shift=(0, 0)):
    """A blurred noise's part that begins ``shift`` pixels (x, y) to the left and above."""
    noise = np.random.default_rng(5).integers(0, 255, (height + 40, width + 40, 3), np.uint8)
    noise = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    x, y = 20 - shift[0], 20 - shift[1]
    return noise[y : y + height, x : x + width].copy()


@pytest.mark.parametrize("max_side", [640, 110])
@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_points_move_as_the_picture_does(method, max_side):
    flow = OpticalFlow(method, max_side=max_side, window=5)
    assert flow.sees_frames
    assert (flow.displacements(texture(), POINTS) == 0).all()  # nothing before it
    np.testing.assert_allclose(
        flow.displacements(texture(shift=(6, -3)), POINTS),
        [[6, -3]] * 3,
        atol=0.25 * 220 / min(max_side, 220),
    )
    # from this frame on, not from the first
    np.testing.assert_allclose(
        flow.displacements(texture(shift=(8, -3)), POINTS), [[2, 0]] * 3, atol=0.25 * 220 / min(max_side, 220)
    )


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_nothing_moves_between_equal_pictures(method):
    flow = OpticalFlow(method, max_side=640, window=5)
    flow.displacements(texture(), POINTS)
    assert np.abs(flow.displacements(texture(), POINTS)).max() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_parts_of_pixels_count(method):
    flow, first = OpticalFlow(method, max_side=640, window=5), texture()
    moved = cv2.warpAffine(first, np.float32([[1, 0, 7.3], [0, 1, -4.1]]), first.shape[1::-1])
    y, x = np.mgrid[30:110:10, 30:190:10]
    points = np.column_stack((x.ravel(), y.ravel())) + 0.5
    flow.displacements(first, points)
    error = np.linalg.norm(flow.displacements(moved, points) - (7.3, -4.1), axis=1)
    assert np.median(error) <= 0.3


def test_a_point_moves_by_the_median_around_it():
    """A single pixel of another motion under the joint does not carry it away."""
    flow = OpticalFlow("dis", max_side=640, window=5)
    field = np.zeros((20, 30, 2), np.float32)
    field[8:, :] = 4.0
    field[10, 10] = 90.0
    assert flow._sampled(field, np.array([[10.5, 10.5]])).tolist() == [[4.0, 4.0]]
    assert flow._sampled(field, np.array([[-50.0, 500.0], [12.0, -9.0]])).tolist() == [[4.0, 4.0], [0.0, 0.0]]


def test_frames_of_another_size_are_told_and_the_last_one_counts_on():
    flow = OpticalFlow("dis", max_side=640, window=5)
    flow.displacements(texture(), POINTS)
    with pytest.raises(
        ValueError, match=r"frame: 64x48 pixels, but 220x140 before it: .* TRACKER.FLOW.METHOD none"
    ):
        flow.displacements(np.zeros((48, 64, 3), np.uint8), POINTS)
    np.testing.assert_allclose(flow.displacements(texture(shift=(4, 0)), POINTS), [[4, 0]] * 3, atol=0.25)
    flow.reset()
    assert (flow.displacements(np.zeros((48, 64, 3), np.uint8), POINTS) == 0).all()


@pytest.mark.parametrize("size_hw", [(8, 8), (12, 64), (16, 640), (1, 1), (700, 20)])
@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_tiny_and_narrow_frames(method, size_hw):
    """OpenCV's dense inverse search refuses the first and crashes on the next two."""
    flow, frame = OpticalFlow(method, max_side=640, window=5), np.full((*size_hw, 3), 90, np.uint8)
    flow.displacements(frame, POINTS)
    assert np.abs(flow.displacements(frame, POINTS)).max() < 1e-3


def test_no_flow():
    flow = OpticalFlow("none", max_side=640, window=5)
    assert not flow.sees_frames
    flow.displacements(texture(), POINTS)
    assert (flow.displacements(texture(shift=(9, 9)), POINTS) == 0).all()


@pytest.fixture
def raft(monkeypatch):
    """RAFT without its weights, as torchvision makes it, or whatever else is put here."""
    from torchvision.models import optical_flow as models

    made = models.raft_small
    monkeypatch.setattr(models, "raft_small", lambda *, weights, progress: made())
    optical_flow._raft.cache_clear()
    yield models
    optical_flow._raft.cache_clear()


def test_raft_computes_at_any_size(raft):
    flow = OpticalFlow("raft", max_side=200, window=5, device="cpu")
    flow.displacements(texture(101, 220), POINTS)
    moved = flow.displacements(texture(101, 220, shift=(2, 2)), POINTS)
    assert moved.shape == (3, 2)
    assert np.isfinite(moved).all()


@pytest.mark.parametrize("problem", [URLError("no route to host"), RuntimeError("invalid hash value")])
def test_raft_without_its_weights(raft, monkeypatch, problem):
    def fail(*, weights, progress):
        raise problem

    monkeypatch.setattr(raft, "raft_small", fail)
    with pytest.raises(
        InputError, match=r"METHOD raft: its weights could not be had from https://.*METHOD dis"
    ):
        OpticalFlow("raft", max_side=640, window=5)
