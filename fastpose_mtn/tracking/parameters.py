"""The occlusion-aware tracker's parameters: the paper's thresholds, and what the paper does not give."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode

STRATEGIES = ("iou", "reid", "occlusion_aware")  # the rows of the paper's Table 1c


@dataclass(frozen=True, kw_only=True)
class TrackerParameters:
    """Parameters of the occlusion-aware tracker; each is the key of ``TRACKER`` of its name in upper case.

    Lengths are in heights of the person where nothing else is said, so that they hold for any size in the
    picture, and times are in seconds of video, so that they hold for any frame rate. A *lost* person is one
    who was not matched in the last frame.

    Sources: the paper names its thresholds in section 3.3 and gives the values of three in section 3.4. The
    others are ours, chosen by identity switches on drawn videos and on crowds, of seeds that were not noted
    but for those given below. "Crowds" says how much hangs on a value: the switches of the 24 crowds that
    ``tests/tracking/test_tracker_crowds.py`` makes of the seeds 100 to 123, with half and with twice the
    value (at most 1 for a share), measured before ``certain_overlap`` was there and with ``reach`` 0.4; with
    these defaults there were 162.

    Attributes:
        strategy: one of ``STRATEGIES`` (paper, Table 1c).
        joint_thresh: gamma_valid, a confidence: a joint is visible above it (paper, equation 1 and section 3.4).
            Crowds: 220, 182.
        joint_output_thresh: a confidence: joints below it are left out of what the tracker reports (MDPN, table 2: more
            MOTA, less mAP, since poseval counts every joint that is there). On drawn crowds, whose labels have the hidden
            joints too, it costs both.
        valid_joints: theta_valid as a share of the body's joints: an embedding is valid where more of
            them are visible (paper, section 3.4: 10 of 15 joints). Crowds: 246, 546.
        position_weight: theta_pos, the overlap's share of the similarity S (paper, equation 2 and section
            3.4). Crowds: 212, 450.
        max_distance: sigma_max, Euclidean distance of embeddings at and above which people are unlike
            (paper, equation 2, without a value). Embeddings of length 1 of unrelated people are at right
            angles: sqrt(2). Crowds: 568, 312.
        min_similarity: the gate, above 0: a pair with a lower S is no match. Crowds: 133, 1329.
        motion: whether S takes the overlap with the box that the motion model predicts; else with the last
            one, as in the paper.
        max_lost_seconds: for which a lost person can be found again. Crowds: 181, 172.
        max_lost: how many people lost before a frame are kept at most; the longest lost go first. Bounds
            the memory.
        max_frame_seconds: frames further apart than this are a break in the video, behind which nobody is
            followed but who may be lost for longer; a slow camera gives a frame a second.
        birth_score: an unmatched detection with a score above it begins a tracklet. Drawn videos, seeds
            810000 to 810007.
        min_score: detections with a lower score are left out. As ``birth_score``.
        duplicate_iou: above this overlap with somebody, an unmatched detection is no new person: boxes of
            two people coincide so far only where one of them cannot be seen. Crowds: 138, 162.
        embedding_gain: share of a matched detection's embedding in its tracklet's, a moving average over
            about ``1 / embedding_gain`` frames. Crowds: 174, 161.
        position_memory_seconds: in which the position's weight for a lost person falls to 1/e. Crowds:
            174, 161.
        certain_overlap: with the predicted box, from which the detection of a person who is not lost need not be near
            and as high to be matched. People of two street sequences, TUD-Campus and KITTI-17.
        reach: how far from the predicted place a person may be found without such an overlap, at once. As
            ``certain_overlap``.
        reach_per_second: how much further with every second; running is 2 to 3. Crowds: 159, 162.
        min_height_ratio: the lower of two heights over the higher, below which a detection does not show a
            lost person again. Crowds: 161, 236.
        min_appearance: the appearance similarity below which two people whose embeddings are valid are
            different for sure. Crowds: 160, 162.
        appearance_floor: what the appearance counts at least in the score by which a lost person is chosen,
            of 1: where there is none to compare, the place decides. Crowds: 162, 162.
        cut_correlation: of two frames' thumbnails, below which a scene cut lies between them; 0 looks for none. See
            ``scene_cuts.SceneCutDetector``.
        cut_appearance: the appearance similarity from which a person of the scene before a cut is found again, wherever
            they are. In TUD-Campus and KITTI-17, 45 % of the pairs of one person's embeddings reach it, and 10 % of
            two people's.
        position_noise: standard deviation of a detected centre, of the motion model. Crowds: 197, 227.
        min_position_noise: pixels; the least that ``position_noise`` comes to, half a pixel of rounding.
        start_velocity: standard deviation of a new person's velocity, a second; walking is 0.8, running 3.
            Crowds: 170, 161.
        acceleration: of the motion model's white noise, heights a second to the power of 1.5. Crowds: 222,
            203.
        size_gain: share of a detected size that the predicted box takes over. Crowds: 168, 166.
        coasting_seconds: in which a lost person's velocity falls to 1/e: people stop and turn, straight
            lines do not. Crowds: 190, 166.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    strategy: str = "occlusion_aware"
    joint_thresh: float = 0.2
    joint_output_thresh: float = 0.0
    valid_joints: float = 10.0 / 15.0
    position_weight: float = 0.5
    max_distance: float = 1.414
    min_similarity: float = 0.3
    motion: bool = True
    max_lost_seconds: float = 2.0
    max_lost: int = 1000
    max_frame_seconds: float = 1.0
    birth_score: float = 0.5
    min_score: float = 0.4
    duplicate_iou: float = 0.9
    embedding_gain: float = 0.15
    position_memory_seconds: float = 0.7
    certain_overlap: float = 0.1
    reach: float = 0.6
    reach_per_second: float = 2.0
    min_height_ratio: float = 0.6
    min_appearance: float = 0.1
    appearance_floor: float = 0.1
    cut_correlation: float = 0.6
    cut_appearance: float = 0.6
    position_noise: float = 0.04
    min_position_noise: float = 0.5
    start_velocity: float = 1.0
    acceleration: float = 2.0
    size_gain: float = 0.5
    coasting_seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(self._message("strategy", f"one of {', '.join(STRATEGIES)}"))
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(self._message(name, "a number from 0 to 1"))
        for name in _POSITIVE_SHARES:
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(self._message(name, "a number above 0 and up to 1"))
        for name in _POSITIVE:
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(self._message(name, "a number above 0"))
        for name in _NOT_NEGATIVE:
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(self._message(name, "0 or more"))

    def _message(self, name: str, expected: str) -> str:
        return f"{name} (TRACKER.{name.upper()}): expected {expected}, got {getattr(self, name)!r}"

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TrackerParameters:
        """The values of ``cfg.TRACKER``."""
        return cls(**{field.name: cfg.TRACKER[field.name.upper()] for field in fields(cls)})


_SHARES = (
    "joint_thresh", "joint_output_thresh", "valid_joints", "position_weight", "birth_score", "min_score", "duplicate_iou",
    "certain_overlap", "min_height_ratio", "min_appearance", "appearance_floor", "cut_correlation", "cut_appearance",
)  # fmt: skip
_POSITIVE_SHARES = ("min_similarity", "embedding_gain", "size_gain")
_POSITIVE = (
    "max_distance", "position_memory_seconds", "position_noise", "min_position_noise", "coasting_seconds",
)  # fmt: skip
_NOT_NEGATIVE = (
    "max_lost_seconds", "max_lost", "max_frame_seconds", "reach", "reach_per_second", "start_velocity",
    "acceleration",
)  # fmt: skip

DEFAULT_PARAMETERS = TrackerParameters()
