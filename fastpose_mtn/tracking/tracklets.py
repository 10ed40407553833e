"""The tracklets of a tracker: one array a property, so that no frame needs a loop over people.

Motion is a Kalman filter of constant velocity on the centre of the box. Its noise is measured in heights
of the person, because a box of 400 px jitters and moves more pixels than one of 40 px. Every person's two
axes share one 2x2 covariance, so a person's motion is nine numbers and a whole crowd's one array: as many
arrays as numbers would take as many times to pick a frame's people out of.
"""

from __future__ import annotations

import numpy as np

from fastpose_mtn.tracking.parameters import DEFAULT_PARAMETERS, TrackerParameters

# columns of a motion: pixels, pixels a second, pixels; variances of position, of both, of velocity
_CENTRE_XY, _VELOCITY_XY, _SIZE_WH, _COVARIANCE = slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 9)


class Tracklets:
    """The state of T tracklets, in order of their ids.

    Attributes:
        ids: (T,) int64.
        last_seen_s: (T,) seconds of video.
        lost: (T,) bool, not matched in the last frame.
        placed: (T,) bool, whether their place still means something; False for the lost of another scene.
        embeddings: (T, D) float64, moving averages; zeros where there is none yet.
        has_embedding: (T,) bool.
        boxes: (T, 4) float64 xyxy pixels, where each was last seen.

    Args:
        embedding_dim: D.
        parameters: of the motion model and the moving averages.
    """

    def __init__(self, embedding_dim: int = 0, *, parameters: TrackerParameters = DEFAULT_PARAMETERS) -> None:
        self._parameters = parameters
        self.ids = np.zeros(0, np.int64)
        self.last_seen_s = np.zeros(0)
        self.lost = np.zeros(0, bool)
        self.placed = np.zeros(0, bool)
        self.embeddings = np.zeros((0, embedding_dim))
        self.has_embedding = np.zeros(0, bool)
        self.boxes = np.zeros((0, 4))
        self._motion = np.zeros((0, 9))  # its columns: see above

    def __len__(self) -> int:
        return len(self.ids)

    def predicted_boxes(self, time_s: float) -> np.ndarray:
        """Where the people are expected, (T, 4) xyxy pixels."""
        motion = self._motion
        centre = motion[:, _VELOCITY_XY] * self._coasting(time_s - self.last_seen_s)
        centre += motion[:, _CENTRE_XY]
        half = motion[:, _SIZE_WH] / 2.0
        return np.concatenate([centre - half, centre + half], axis=1)

    def update(self, rows: np.ndarray, boxes_xyxy: np.ndarray, time_s: float) -> None:
        """Corrects the motion of ``rows`` (M,) by their boxes in this frame (M, 4); all other people are lost."""
        self.lost[:] = True
        self.lost[rows] = False
        if not len(rows):
            return
        anew = ~self.placed[rows]
        if np.count_nonzero(anew):
            self._place(rows[anew], boxes_xyxy[anew], time_s)
            rows, boxes_xyxy = rows[~anew], boxes_xyxy[~anew]
        elapsed = time_s - self.last_seen_s[rows]
        motion = self._motion[rows]
        centre, velocity, size = motion[:, _CENTRE_XY], motion[:, _VELOCITY_XY], motion[:, _SIZE_WH]
        covariance = motion[:, _COVARIANCE]
        var_position, cov, var_velocity = covariance.T
        centre += velocity * self._coasting(elapsed)
        velocity *= np.exp(elapsed / -self._parameters.coasting_seconds)[:, None]
        noise = (self._parameters.acceleration * size[:, 1]) ** 2 * elapsed
        drift = elapsed * var_velocity
        var_position += elapsed * (2 * cov + drift)
        var_position += noise * elapsed**2 / 3
        cov += drift
        cov += noise * elapsed / 2
        var_velocity += noise

        seen_centre, seen_size = _centre_and_size(boxes_xyxy)
        spread = var_position + self._measurement_variance(size[:, 1])
        gain, gain_velocity = var_position / spread, cov / spread
        innovation = seen_centre - centre
        centre += gain[:, None] * innovation
        velocity += gain_velocity[:, None] * innovation
        var_velocity -= gain_velocity * cov
        covariance[:, :2] *= (1 - gain)[:, None]
        size += self._parameters.size_gain * (seen_size - size)
        self._motion[rows] = motion
        self.boxes[rows] = boxes_xyxy
        self.last_seen_s[rows] = time_s

    def make_room_for_embeddings(self, embedding_dim: int) -> None:
        """Says of which length embeddings are, where none has been seen yet."""
        if self.embeddings.shape[1] == 0:
            self.embeddings = np.zeros((len(self), embedding_dim))

    def displace(self) -> None:
        """Another scene begins: all are lost and their places and motion end; who has no embedding is dropped."""
        self.keep(self.has_embedding)
        self.lost[:] = True
        self.placed[:] = False

    def _place(self, rows: np.ndarray, boxes_xyxy: np.ndarray, time_s: float) -> None:
        """Begins the motion of ``rows`` (M,) at these boxes (M, 4), whatever it was before."""
        centre, size = _centre_and_size(boxes_xyxy)
        height = size[:, 1]
        self.placed[rows] = True
        self.last_seen_s[rows] = time_s
        self.boxes[rows] = boxes_xyxy
        motion = np.zeros((len(rows), 9))
        motion[:, _CENTRE_XY], motion[:, _SIZE_WH] = centre, size
        var_position, _, var_velocity = motion[:, _COVARIANCE].T
        var_position[:] = self._measurement_variance(height)
        var_velocity[:] = (self._parameters.start_velocity * height) ** 2
        self._motion[rows] = motion

    def update_embeddings(self, rows: np.ndarray, embeddings: np.ndarray) -> None:
        """Moves the averages of ``rows`` (M,) towards these embeddings (M, D); a first one is taken whole.

        The direction is averaged and the length is averaged, so embeddings of length 1 stay so.
        """
        if not len(rows):
            return
        old, new = self.embeddings[rows], np.asarray(embeddings, np.float64)
        share_new = np.where(self.has_embedding[rows], self._parameters.embedding_gain, 1.0)[:, None]
        share_old = 1.0 - share_new
        mixed = share_old * old + share_new * new
        length = share_old * _length(old) + share_new * _length(new)
        self.embeddings[rows] = mixed * (length / np.maximum(_length(mixed), 1e-12))
        self.has_embedding[rows] = True

    def add(self, ids: np.ndarray, boxes_xyxy: np.ndarray, time_s: float) -> np.ndarray:
        """Adds tracklets with these ids (M,) at these boxes (M, 4); returns their rows (M,)."""
        count, old = len(ids), len(self)
        if not count:
            return np.zeros(0, np.intp)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                new = np.zeros((count, *value.shape[1:]), value.dtype)
                setattr(self, name, np.concatenate([value, new]))
        rows = np.arange(old, old + count)
        self.ids[rows] = ids
        self._place(rows, boxes_xyxy, time_s)
        return rows

    def keep(self, kept: np.ndarray) -> None:
        """Drops all tracklets but ``kept``, a mask (T,)."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[kept])

    def _coasting(self, elapsed_s: np.ndarray) -> np.ndarray:
        """Seconds (M, 1) that today's velocity is worth over these seconds (M,), as it fades."""
        fade_s = self._parameters.coasting_seconds
        return (fade_s * -np.expm1(elapsed_s / -fade_s))[:, None]

    def _measurement_variance(self, height: np.ndarray) -> np.ndarray:
        """Variance of a detected centre, square pixels."""
        parameters = self._parameters
        return np.maximum(parameters.position_noise * height, parameters.min_position_noise) ** 2


def _centre_and_size(boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    boxes = boxes_xyxy.astype(np.float64)
    return (boxes[:, :2] + boxes[:, 2:]) / 2.0, boxes[:, 2:] - boxes[:, :2]


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
