"""PoseDet's keys; *paper* is Tian et al., arXiv 2107.10466, *code* what its authors published."""

from __future__ import annotations

from fastpose_mtn.config.node import CfgNode


def add_posedet_config(c: CfgNode) -> None:
    """Adds the keys of pyramid, head, targets, losses and suppression; the defaults are the paper's."""
    # MODEL.META_ARCHITECTURE PoseDet; MODEL.TIMM names its backbone, MODEL.FPN the channels and the normalisation of its
    # pyramid, MODEL.REID_ON and MODEL.ROI_REID_HEAD (dimension, scale, weight) the identity branch, which is ours
    c.MODEL.POSEDET = CfgNode()
    c.MODEL.POSEDET.NECK = "fpn"  # fpn (strides 8 to 64) or hrfpn (HRNet's, 8 to 32)
    c.MODEL.POSEDET.NORM = "GN"  # of the head's convolutions, which all levels share: "" or GN
    # each of the following: full (3x3; paper) or separable (5x5 of each channel, then 1x1; ours: a sixth of the work)
    c.MODEL.POSEDET.CONV = "full"
    c.MODEL.POSEDET.INIT_CONVS = 3  # convolutions before the coarse poses (code)
    c.MODEL.POSEDET.REFINE_CONVS = 2  # before the refinement's embedding
    c.MODEL.POSEDET.CLS_CONVS = 2  # before the classification's embedding
    c.MODEL.POSEDET.HEATMAP_CONVS = 1  # before the heatmaps, which training alone computes
    # what an embedding is read at: joints (of the coarse pose), centre (the cell) or grid3x3 (the cells around it)
    c.MODEL.POSEDET.EMBEDDING = "joints"
    # where classification reads its embedding: everywhere (paper) or chosen: a 1x1 convolution scores all cells, and the
    # embeddings of the best correct it (ours: on CPUs embeddings everywhere are most of the head's time)
    c.MODEL.POSEDET.CLASSIFY = "everywhere"
    # ours: strides by which cells lie right of and below where padded 3x3 convolutions have their centre, as
    # MODEL.ANCHOR_GENERATOR.OFFSET; 0.5 for backbones that cut images into patches, half a pixel aside
    c.MODEL.POSEDET.CANDIDATE_OFFSET = 0.0
    c.MODEL.POSEDET.GRADIENT_SHARE = 0.1  # of the embeddings' gradients that reaches the coarse poses (code)
    c.MODEL.POSEDET.REFINE = True  # poses are refined; False: they are the coarse ones (paper, table 4)
    # of a person, for the cells that learn their pose: keypoints (their mean) or box (the middle of their extent)
    c.MODEL.POSEDET.CENTROID = "keypoints"
    c.MODEL.POSEDET.POS_NUM = 1  # cells a person whose coarse poses are learned (paper: the nearest one)
    c.MODEL.POSEDET.MIN_JOINTS = 3  # labelled joints from which a person has a pose to learn
    c.MODEL.POSEDET.BASE_SCALE = 4.0  # strides: the unit that poses and boxes are learned in (code)
    # the mean of shoulders and hips is learned as a further joint, which embeddings are read at too, and is not reported
    # (code, of CrowdPose's 14, as it needs an odd number)
    c.MODEL.POSEDET.ABDOMEN = False
    c.MODEL.POSEDET.OKS_REFINE = 0.7  # of a coarse pose with a person, from which its refinement is learned
    # the same of a person's best coarse pose, where no other reaches OKS_REFINE (code)
    c.MODEL.POSEDET.OKS_REFINE_LOW = 0.52
    c.MODEL.POSEDET.OKS_POSITIVE = 0.6  # of a coarse pose with a person, from which it is a positive example
    c.MODEL.POSEDET.OKS_NEGATIVE = 0.5  # of it with everybody, below which it is a negative one
    # ours: where no coarse pose of a person reaches OKS_POSITIVE, the person's POS_NUM cells are positive examples, so
    # that classification learns from the first step on
    c.MODEL.POSEDET.CLS_SEEDS = False
    # ours: training stops where this many steps in a row with people gave classification no positive example; 0: never
    c.MODEL.POSEDET.COLD_STEPS = 300
    c.MODEL.POSEDET.COARSE_WEIGHT = 0.1  # of the coarse poses' loss (paper)
    c.MODEL.POSEDET.FINE_WEIGHT = 0.2  # of the refined poses' loss (paper)
    c.MODEL.POSEDET.CLS_WEIGHT = 1.0  # of the classification's focal loss
    c.MODEL.POSEDET.HEATMAP_WEIGHT = 0.1  # of the heatmaps' loss (code); 0: there are none (paper, table 5)
    c.MODEL.POSEDET.HEATMAP_LOSS = "focal"  # focal (code) or l2 (paper)
    c.MODEL.POSEDET.HEATMAP_SIGMA = 2.0  # cells: standard deviation of a joint in its heatmap, at every level
    c.MODEL.POSEDET.VISIBILITY_WEIGHT = 0.1  # ours: visible against hidden, for the joints' confidences
    c.MODEL.POSEDET.VISIBILITY_DETACHED = False  # ours: it does not change what the others learn
    # ours: extent (of the joints, widened by BOX_MARGINS) or regressed (by how much each box differs from that)
    c.MODEL.POSEDET.BOX = "extent"
    # shares of the extent's width and height by which it grows to the left, the top, the right and the bottom
    c.MODEL.POSEDET.BOX_MARGINS = [0.15, 0.12, 0.15, 0.08]
    c.MODEL.POSEDET.BOX_WEIGHT = 0.1  # of regressed
    # of regressed: distance (of their sides, in BASE_SCALE strides) or giou (generalised IoU: small people count as large ones)
    c.MODEL.POSEDET.BOX_LOSS = "distance"
    # of the identity branch (MODEL.REID_ON), ours: numbers that a person's joints are summed to, of which the vector is made
    c.MODEL.POSEDET.IDENTITY_WIDTH = 256
    c.MODEL.POSEDET.IDENTITY_DROPOUT = 0.3  # share of them that a training step leaves out
    # a person's score: cls, or visible: times the mean confidence of the joints
    c.MODEL.POSEDET.SCORE = "cls"
    c.MODEL.POSEDET.SCORE_THRESH = 0.05  # candidates that classification scores lower are left out (code)
    # ours: of neighbouring cells of a level, which find the same person, only the best-scored one is a candidate
    c.MODEL.POSEDET.PEAKS = False
    c.MODEL.POSEDET.NMS_TOPK = 500  # candidates an image, the best, that suppression looks at
    c.MODEL.POSEDET.NMS = "oks"  # oks, or iou of the poses' extents (paper, table 5)
    # similarity above which the lower-scored of two poses is left out (code)
    c.MODEL.POSEDET.NMS_THRESH = 0.2
