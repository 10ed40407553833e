"""The keys of MDPN; *paper* is Guo et al., *Multi-Domain Pose Network for Multi-Person Pose Estimation and Tracking*, 2018.

It has no code, and leaves out much; *ours* is what it does not say.
"""

from __future__ import annotations

from fastpose_mtn.config.node import CfgNode


def add_mdpn_config(c: CfgNode) -> None:
    """Adds the keys of heads, skip connection and losses."""
    # MODEL.TOPDOWN.NAME MDPN; MODEL.TIMM names its backbone, HEATMAP_SIGMA and SUBPIXEL_TARGET its targets
    c.MODEL.MDPN = CfgNode()
    # a head each: coco, mpii, posetrack, crowdpose, or NAME:SKELETON of one's own; a dataset's domain (?domain=NAME) says
    # which head learns from it
    c.MODEL.MDPN.DOMAINS = ["coco", "mpii", "posetrack"]
    c.MODEL.MDPN.UNION = "UNION21"  # the skeleton that labels are read in: all joints of all heads
    # whose joints make MODEL.SKELETON: a head, several as in coco+posetrack (each joint the first one's that has it), A
    # (coco+mpii), or B (the mean map of all heads that have it; paper, section 3.2)
    c.MODEL.MDPN.BRANCH = "A"
    c.MODEL.MDPN.VOTE_WEIGHTS = []  # of B: of each head's maps in the mean; []: 1
    # ours: where no head of BRANCH has head_bottom and head_top: shares of the way from the shoulders' middle to the nose
    # at which they lie; a missing nose lies accordingly
    c.MODEL.MDPN.HEAD_INTERPOLATION = [0.5, 2.0]
    c.MODEL.MDPN.HEAD_CONVS = 0  # ours: 3x3 convolutions of a head before its last one
    # added to the second deconvolution: none, lateral (the features of stride 8), or prediction (and heatmaps of these,
    # which are trained; paper, section 2.2, read by us)
    c.MODEL.MDPN.SKIP = "prediction"
    c.MODEL.MDPN.INTERMEDIATE_WEIGHT = 1.0  # ours: of the loss of those heatmaps
    c.MODEL.MDPN.DOMAIN_WEIGHTS = []  # ours: of each head's loss; []: 1
    # step from which the hardest joints alone are trained (paper: of epoch 100); -1: never
    c.MODEL.MDPN.OHKM_FROM_STEP = -1
    c.MODEL.MDPN.OHKM_TOPK = 8  # of each person (paper, section 2.2)
