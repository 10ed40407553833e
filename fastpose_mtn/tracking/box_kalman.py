"""A Kalman filter of boxes, each moving at a constant velocity: DeepSORT's, with its constants.

The state is x, y of the centre, the aspect w / h, the height, and their velocities. Time is in frames of 1/30 s, at which
the constants have their meaning; any step of it goes.
"""

from __future__ import annotations

import numpy as np

FRAMES_PER_SECOND = 30.0  # of the constants' frames; AlphaPose's tracker, which has them too, assumes as many
# DeepSORT's standard deviations: heights and heights a frame; of w / h, its change a frame, and w / h as measured
_POSITION, _VELOCITY = 1 / 20, 1 / 160
_ASPECT, _ASPECT_VELOCITY, _ASPECT_MEASURED = 1e-2, 1e-5, 1e-1


def to_xyah(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N, 4) float64 centre, aspect and height of boxes (N, 4); of one without a height, of a pixel's height."""
    boxes = np.asarray(boxes_xyxy, np.float64)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.column_stack(((boxes[:, :2] + boxes[:, 2:]) / 2, size[:, 0] / size[:, 1], size[:, 1]))


def to_xyxy(means: np.ndarray) -> np.ndarray:
    """(N, 4) boxes of states (N, 8)."""
    height = np.maximum(means[:, 3], 1.0)
    half = np.column_stack((np.maximum(means[:, 2], 0.01) * height, height)) / 2
    return np.concatenate((means[:, :2] - half, means[:, :2] + half), axis=1)


def _diagonal(*columns: np.ndarray | float, count: int) -> np.ndarray:
    """(N, n, n) covariances of standard deviations, given as columns."""
    deviations = np.empty((count, len(columns)))
    for index, column in enumerate(columns):
        deviations[:, index] = column
    return deviations[:, :, None] ** 2 * np.eye(len(columns))


def initiate(measurements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States (N, 8) and covariances (N, 8, 8) of people first seen at (N, 4), see ``to_xyah``."""
    count, height = len(measurements), measurements[:, 3]
    position, velocity = 2 * _POSITION * height, 10 * _VELOCITY * height
    covariances = _diagonal(
        position, position, _ASPECT, position, velocity, velocity, _ASPECT_VELOCITY, velocity, count=count
    )
    return np.concatenate((measurements, np.zeros((count, 4))), axis=1), covariances


def predict(means: np.ndarray, covariances: np.ndarray, frames: float) -> tuple[np.ndarray, np.ndarray]:
    """States and covariances so many frames later; the process noise grows in proportion."""
    height = means[:, 3]
    position, velocity = _POSITION * height, _VELOCITY * height
    noise = _diagonal(
        position, position, _ASPECT, position, velocity, velocity, _ASPECT_VELOCITY, velocity,
        count=len(means),
    )  # fmt: skip
    motion = np.eye(8) + frames * np.eye(8, k=4)
    return means @ motion.T, motion @ covariances @ motion.T + frames * noise


def _projected(means: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    position = _POSITION * means[:, 3]
    noise = _diagonal(position, position, _ASPECT_MEASURED, position, count=len(means))
    return means[:, :4], covariances[:, :4, :4] + noise


def mahalanobis(means: np.ndarray, covariances: np.ndarray, measurements: np.ndarray) -> np.ndarray:
    """(N, M) squared Mahalanobis distances of measurements (M, 4) from where N people are expected."""
    mean, covariance = _projected(means, covariances)
    away = measurements[None] - mean[:, None]
    return np.einsum("nmi,nij,nmj->nm", away, np.linalg.inv(covariance), away)


def update(
    means: np.ndarray, covariances: np.ndarray, measurements: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States and covariances of N people after each was seen at (N, 4)."""
    mean, covariance = _projected(means, covariances)
    gain = covariances[:, :, :4] @ np.linalg.inv(covariance)
    seen = means + np.einsum("nij,nj->ni", gain, measurements - mean)
    return seen, covariances - gain @ covariance @ gain.transpose(0, 2, 1)
