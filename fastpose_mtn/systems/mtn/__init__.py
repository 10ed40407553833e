"""FastPose MTN: boxes, keypoints and identities of everyone in one pass."""
