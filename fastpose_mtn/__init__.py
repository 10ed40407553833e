"""FastPose MTN: every person in a video, their joints and their identity, frame by frame."""

__version__ = "0.1.0"
