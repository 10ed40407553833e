"""FastPose MTN's own configuration keys, with Detectron2's names where Detectron2 has the key."""

from __future__ import annotations

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.errors import InputError


def add_mtn_config(c: CfgNode) -> None:
    """Adds the keys of proposals and heads; the defaults build the paper's FastPose-50."""
    c.MODEL.ANCHOR_GENERATOR = CfgNode()
    c.MODEL.ANCHOR_GENERATOR.NAME = "MTNAnchorGenerator"  # read by Detectron2 only; its own knows no ROUND
    c.MODEL.ANCHOR_GENERATOR.SIZES = [[32], [64], [128], [256], [512]]  # pixels, P2 to P6 (FPN)
    c.MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS = [[0.5, 1.0, 2.0]]  # height to width
    c.MODEL.ANCHOR_GENERATOR.OFFSET = 0.0  # of the first anchor's centre, in strides
    c.MODEL.ANCHOR_GENERATOR.ROUND = False  # ours: whole-pixel anchors, as torchvision's weights expect

    c.MODEL.PROPOSAL_GENERATOR = CfgNode()
    # read by Detectron2 only; its own RPN takes ignored people for examples
    c.MODEL.PROPOSAL_GENERATOR.NAME = "MTNRPN"
    c.MODEL.PROPOSAL_GENERATOR.MIN_SIZE = 0  # pixels; smaller proposals are dropped
    c.MODEL.RPN = CfgNode()
    c.MODEL.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]  # levels of the pyramid that propose boxes
    c.MODEL.RPN.CONV_DIMS = [-1]  # channels of the head's convolutions, -1: as the FPN
    c.MODEL.RPN.IOU_THRESHOLDS = [0.3, 0.7]  # below: negative; above: positive; between: ignored
    # of the ranges between IOU_THRESHOLDS: 0 negative, -1 ignored, 1 positive
    c.MODEL.RPN.IOU_LABELS = [0, -1, 1]
    c.MODEL.RPN.BATCH_SIZE_PER_IMAGE = 256  # anchors sampled for the loss
    c.MODEL.RPN.POSITIVE_FRACTION = 0.5  # of the anchors sampled, at most
    # factors on a box's differences in x, y, width and height
    c.MODEL.RPN.BBOX_REG_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
    c.MODEL.RPN.SMOOTH_L1_BETA = 0.0  # 0: L1
    c.MODEL.RPN.LOSS_WEIGHT = 1.0  # of both losses of the proposals
    c.MODEL.RPN.BBOX_REG_LOSS_WEIGHT = 1.0  # of the boxes' loss, on top of LOSS_WEIGHT
    c.MODEL.RPN.PRE_NMS_TOPK_TRAIN = 2000  # a level
    c.MODEL.RPN.PRE_NMS_TOPK_TEST = 1000  # a level
    c.MODEL.RPN.POST_NMS_TOPK_TRAIN = 1500  # an image; Detectron2's Keypoint R-CNN
    c.MODEL.RPN.POST_NMS_TOPK_TEST = 1000  # paper, section 3.4
    c.MODEL.RPN.NMS_THRESH = 0.7  # IoU above which the lower-scored of two proposals is left out
    # ours: proposals of a lower objectness are dropped, so that TOPK_TEST may be a crowd's and cost little elsewhere
    c.MODEL.RPN.SCORE_THRESH_TEST = 0.0

    c.MODEL.ROI_HEADS = CfgNode()
    c.MODEL.ROI_HEADS.NAME = "MTNROIHeads"  # ours, also under Detectron2
    c.MODEL.ROI_HEADS.NUM_CLASSES = 1  # person
    # levels of the pyramid that people are read from
    c.MODEL.ROI_HEADS.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    # with a labelled person, at and above which a proposal is positive
    c.MODEL.ROI_HEADS.IOU_THRESHOLDS = [0.5]
    c.MODEL.ROI_HEADS.IOU_LABELS = [0, 1]  # below and above IOU_THRESHOLDS: 0 negative, 1 positive
    c.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 512  # proposals sampled for the box loss
    c.MODEL.ROI_HEADS.POSITIVE_FRACTION = 0.25  # of the proposals sampled, at most
    c.MODEL.ROI_HEADS.PROPOSAL_APPEND_GT = True  # labelled people's boxes train as proposals too
    c.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.05  # boxes scored lower are left out
    c.MODEL.ROI_HEADS.NMS_THRESH_TEST = 0.5  # IoU above which the lower-scored of two people is left out
    # ours: a reported box is the mean of those it suppressed that overlap it by more; 1: it stays as it is
    c.MODEL.ROI_HEADS.VOTE_THRESH_TEST = 0.7

    c.MODEL.ROI_BOX_HEAD = CfgNode()
    c.MODEL.ROI_BOX_HEAD.NAME = "FastRCNNConvFCHead"  # read by Detectron2 only
    c.MODEL.ROI_BOX_HEAD.NUM_FC = 2  # fully connected layers
    c.MODEL.ROI_BOX_HEAD.FC_DIM = 1024  # their width
    c.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION = 7  # bins a side that a box is read as
    c.MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO = 0  # samples a bin; 0: as many as its pixels
    # V2 puts samples at pixel centres; torchvision's weights: ROIAlign
    c.MODEL.ROI_BOX_HEAD.POOLER_TYPE = "ROIAlignV2"
    # factors on a box's differences in x, y, width and height
    c.MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
    c.MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA = 0.5  # Detectron2's Keypoint R-CNN
    c.MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT = 1.0  # of the boxes' loss
    c.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG = False  # one box for person and background, not one each

    c.MODEL.ROI_KEYPOINT_HEAD = CfgNode()
    # MTNKeypointHead (paper, section 3.1) or KRCNNConvDeconvUpsampleHead, Mask R-CNN's own: Table 1a's baseline
    c.MODEL.ROI_KEYPOINT_HEAD.NAME = "MTNKeypointHead"
    c.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS = 15  # must equal the skeleton's
    c.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS = (512,) * 8  # 4 for ResNet-18 and MobileNet-V2 (paper, section 3.4)
    c.MODEL.ROI_KEYPOINT_HEAD.CONV_DILATIONS = ()  # ours: of each of CONV_DIMS; empty: 1
    c.MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM = 256  # ours: channels between the two deconvolutions
    c.MODEL.ROI_KEYPOINT_HEAD.NORM = ""  # ours: of the convolutions: "", BN, SyncBN, GN or FrozenBN
    # ours: subpixel (the position of greatest expected OKS, by whose mean the person's score is weighted), or
    # resize (Mask R-CNN's: each heatmap enlarged to its box, then the maximum; the score is the box's)
    c.MODEL.ROI_KEYPOINT_HEAD.DECODER = "subpixel"
    c.MODEL.ROI_KEYPOINT_HEAD.HEATMAPS = False  # ours, Detectron2 only: report pred_keypoint_heatmaps too
    # [height, width] for ours, one number for Mask R-CNN's 14x14
    c.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION = [22, 16]
    c.MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO = 0  # as ROI_BOX_HEAD's
    c.MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE = "ROIAlignV2"  # as ROI_BOX_HEAD's
    c.MODEL.ROI_KEYPOINT_HEAD.BATCH_SIZE_PER_IMAGE = 128  # ours: positive proposals trained, an image
    # labelled, of an image that trains; read by Detectron2 only
    c.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE = 1
    c.MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS = True  # False: by the most there could be
    c.MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT = 1.0  # of the joints' positions
    c.MODEL.ROI_KEYPOINT_HEAD.VISIBILITY_LOSS_WEIGHT = 0.5  # ours: visible against hidden, for the confidence

    c.MODEL.ROI_REID_HEAD = CfgNode()  # ours; paper, sections 3.1 and 3.4
    c.MODEL.ROI_REID_HEAD.NAME = "MTNReIDHead"  # the only one there is
    c.MODEL.ROI_REID_HEAD.CONV_DIMS = (256,) * 4  # 2 for ResNet-18 and MobileNet-V2
    c.MODEL.ROI_REID_HEAD.CONV_DILATIONS = ()  # of each of CONV_DIMS; empty: 1
    c.MODEL.ROI_REID_HEAD.NORM = ""  # of the convolutions, as above
    c.MODEL.ROI_REID_HEAD.EMBEDDING_DIM = 128  # numbers of an identity vector
    c.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # of the training data; 0: counted from the datasets
    c.MODEL.ROI_REID_HEAD.BATCH_SIZE_PER_IMAGE = 128  # positive proposals trained, an image
    c.MODEL.ROI_REID_HEAD.POOLER_RESOLUTION = 14  # bins a side that a box is read as
    c.MODEL.ROI_REID_HEAD.POOLER_SAMPLING_RATIO = 0  # as ROI_BOX_HEAD's
    c.MODEL.ROI_REID_HEAD.POOLER_TYPE = "ROIAlignV2"  # as ROI_BOX_HEAD's
    c.MODEL.ROI_REID_HEAD.NORMALIZE = True  # embeddings of length 1: distances lie in [0, 2]
    c.MODEL.ROI_REID_HEAD.SCALE = 16.0  # of the cosine logits where NORMALIZE
    c.MODEL.ROI_REID_HEAD.LOSS_WEIGHT = 1.0  # of the identities' classification


def training_config(cfg: CfgNode, *, num_identities: int, world_size: int) -> CfgNode:
    """Derives the configuration to train with: the identity head classifies as many identities as there are.

    See ``system_protocols.System.training_config``; Detectron2's configuration may be given as well.

    Raises:
        InputError: it names fewer identities than there are, or a head of people normalises over all processes: it
            runs only where a step has people to train, and would wait for ever for a process that has none.
    """
    for head in ("ROI_KEYPOINT_HEAD", "ROI_REID_HEAD"):
        if world_size > 1 and cfg.MODEL[head].NORM == "SyncBN":
            raise InputError(
                f"MODEL.{head}.NORM is SyncBN, which cannot train in {world_size} processes: not every one has people "
                f"for this head in every step; use BN, GN or an empty name"
            )
    return with_identities(cfg, num_identities)


def with_identities(cfg: CfgNode, num_identities: int) -> CfgNode:
    """The configuration whose identities are counted: ``MODEL.ROI_REID_HEAD.NUM_IDENTITIES``.

    Raises:
        InputError: it names fewer than there are.
    """
    wanted = cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES
    if wanted and wanted < num_identities:
        raise InputError(
            f"MODEL.ROI_REID_HEAD.NUM_IDENTITIES is {wanted}, but DATASETS.TRAIN has {num_identities} identities; set "
            f"it to 0 to have them counted"
        )
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = wanted or num_identities
    return cfg
