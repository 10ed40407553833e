"""What multi-stage identity matching knows of each track."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastpose_mtn.tracking import box_kalman
from fastpose_mtn.tracking.track_rows import TrackRows

TENTATIVE, TRACKED, LOST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class MSIMTracks(TrackRows):
    """T tracks as they are expected in the last frame.

    Attributes:
        states: (T,) int64: ``TENTATIVE``, ``TRACKED`` or ``LOST``.
        placed: (T,) bool, whether they are known to be of this scene.
        last_seen_s: (T,) seconds of video.
        means: (T, 8) of their motion, see ``box_kalman``.
        covariances: (T, 8, 8) likewise.
        poses: (T, J, 3) joints of the body in shares of the box, and their confidences; J 0: unknown yet.
        embeddings: (T, E) of length 1, or of 0: unknown; E 0: so are all.
    """

    states: np.ndarray
    placed: np.ndarray
    last_seen_s: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    poses: np.ndarray
    embeddings: np.ndarray

    @classmethod
    def begun(
        cls,
        ids: np.ndarray,
        boxes_xyxy: np.ndarray,
        poses: np.ndarray,
        embeddings: np.ndarray,
        time_s: float,
    ) -> MSIMTracks:
        """New tracks (N,) of people in boxes (N, 4), with these poses and embeddings."""
        count = len(ids)
        means, covariances = box_kalman.initiate(box_kalman.to_xyah(boxes_xyxy))
        return cls(
            ids,
            np.full(count, TENTATIVE),
            np.ones(count, bool),
            np.full(count, time_s),
            means,
            covariances,
            poses,
            embeddings,
        )

    @classmethod
    def none(cls) -> MSIMTracks:
        """No tracks, of people whose joints and embeddings are unknown yet."""
        nobody = np.zeros((0, 4)), np.zeros((0, 0, 3)), np.zeros((0, 0))
        return cls.begun(np.zeros(0, np.int64), *nobody, time_s=0.0)

    def with_room(self, poses: np.ndarray, embeddings: np.ndarray) -> MSIMTracks:
        """The tracks with room for people's poses (N, J, 3) and embeddings (N, E), where they had none for any."""
        tracks, count = self, len(self)
        if len(poses) and tracks.poses.shape[1] == 0:
            tracks = replace(tracks, poses=np.zeros((count, *poses.shape[1:])))
        if len(embeddings) and tracks.embeddings.shape[1] == 0:
            tracks = replace(tracks, embeddings=np.zeros((count, embeddings.shape[1])))
        return tracks

    def expected_boxes(self) -> np.ndarray:
        """(T, 4) xyxy pixels, where motion has them."""
        return box_kalman.to_xyxy(self.means)

    def later(self, seconds: float) -> MSIMTracks:
        """The tracks as they are expected some time later; who is not seen grows no more."""
        means, frames = self.means.copy(), seconds * box_kalman.FRAMES_PER_SECOND
        means[self.states != TRACKED, 7] = 0.0
        means, covariances = box_kalman.predict(means, self.covariances, frames)
        return replace(self, means=means, covariances=covariances)

    def see(
        self,
        rows: np.ndarray,
        boxes_xyxy: np.ndarray,
        poses: np.ndarray,
        embeddings: np.ndarray,
        *,
        time_s: float,
        memory: float,
    ) -> None:
        """Tracks that were found: motion, pose and embedding of ``rows`` (M,) follow, in place.

        Args:
            rows: which.
            boxes_xyxy: (M, 4) where.
            poses: (M, J, 3).
            embeddings: (M, E); of length 0 they change nothing.
            time_s: of the frame.
            memory: share that stays of a track's embedding.
        """
        if not len(rows):
            return
        measured = box_kalman.to_xyah(boxes_xyxy)
        fresh = ~self.placed[rows]
        if fresh.any():  # behind a cut their motion begins again
            self.means[rows[fresh]], self.covariances[rows[fresh]] = box_kalman.initiate(measured[fresh])
        self.means[rows], self.covariances[rows] = box_kalman.update(
            self.means[rows], self.covariances[rows], measured
        )
        self.states[rows], self.last_seen_s[rows], self.placed[rows] = TRACKED, time_s, True
        self.poses[rows] = poses
        known = np.linalg.norm(embeddings, axis=1) > 0
        if known.any():
            self._learn(rows[known], embeddings[known], memory)

    def _learn(self, rows: np.ndarray, embeddings: np.ndarray, memory: float) -> None:
        """Moves embeddings of ``rows`` (M,) towards these (M, E); a first one is taken whole."""
        old = self.embeddings[rows]
        first = np.linalg.norm(old, axis=1, keepdims=True) == 0
        mean = np.where(first, embeddings, memory * old + (1 - memory) * embeddings)
        self.embeddings[rows] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
