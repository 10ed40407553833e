"""The keys of MSPN; *paper* is Li et al., *Rethinking on Multi-Stage Networks for Human Pose Estimation*, 2019."""

from __future__ import annotations

from fastpose_mtn.config.node import CfgNode


def add_mspn_config(c: CfgNode) -> None:
    """Adds the keys of stages, supervision and losses."""
    # MODEL.TOPDOWN.NAME MSPN; MODEL.TIMM names the classifier that stages start from, where PRETRAINED
    c.MODEL.MSPN = CfgNode()
    c.MODEL.MSPN.STAGES = 2  # networks after each other, each with a way down and a way up
    # of the way down: bottleneck (ResNet-50 and larger) or basic (ResNet-18)
    c.MODEL.MSPN.BLOCK = "bottleneck"
    c.MODEL.MSPN.BLOCKS = [3, 4, 6, 3]  # on each scale of the way down: ResNet-50's
    # that a stage reads; its scales have 1, 2, 4 and 8 times as many, bottlenecks 4 times those
    c.MODEL.MSPN.CHANNELS = 64
    c.MODEL.MSPN.UP_CHANNELS = 256  # of the way up (paper, table 1)
    c.MODEL.MSPN.CSFA = True  # cross-stage feature aggregation (paper, section 3.2)
    # all four scales of a stage are trained, not the finest alone (section 3.3)
    c.MODEL.MSPN.UNIT_SUPERVISION = True
    # kernels of the targets: a stage's scales have the first four, the last stage's the last four
    c.MODEL.MSPN.KERNELS = [15, 11, 9, 7, 5]
    c.MODEL.MSPN.COARSE_TO_FINE = True  # False: the first four in every stage
    # of heatmap: gaussian (ours: between cells, of the deviation that a kernel has in OpenCV) or megvii (a cell through
    # OpenCV's filter, as in the release)
    c.MODEL.MSPN.TARGETS = "gaussian"
    c.MODEL.MSPN.COARSE_WEIGHT = 0.25  # of the coarse scales' losses
    c.MODEL.MSPN.OHKM = True  # on the finest scale the hardest joints alone are trained (Chen et al., 2018)
    c.MODEL.MSPN.OHKM_TOPK = 8  # of each person
    # what hidden and unlabelled joints are to coarse scales: mask (hidden ones are as visible ones, the others nothing) or
    # release (maps that are to be empty)
    c.MODEL.MSPN.VISIBILITY_TARGETS = "mask"
