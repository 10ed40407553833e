"""COCO's and CrowdPose's average precision."""
