"""Every configuration key, its default, its unit and its source.

The names are Detectron2's where Detectron2 has the key, so one YAML file serves both hosts. The
defaults build the paper's FastPose-50. ``MODEL.ROI_REID_HEAD``, ``MODEL.TIMM``, ``INPUT.SIFP`` and the
other keys marked "ours" are what FastPose adds.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from fvcore.common.config import CfgNode as _CfgNode


class CfgNode(_CfgNode):
    """fvcore's configuration tree (YAML with ``_BASE_``) whose errors name the nearest key."""

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = False) -> None:
        """Merges a YAML file.

        Raises:
            ValueError: the file is missing, is not YAML, or sets a key that does not exist or a
                value of the wrong type; the message names the file, the key and the nearest one.
        """
        path = Path(cfg_filename)
        if not path.is_file():
            raise ValueError(f"configuration file not found: {path}")
        try:
            loaded = self.load_yaml_with_base(str(path), allow_unsafe=False)
        except (yaml.YAMLError, UnicodeDecodeError, FileNotFoundError) as error:
            raise ValueError(f"{path}: not a readable YAML configuration: {error}") from error
        except (TypeError, AttributeError) as error:  # fvcore looks for _BASE_ before it looks at the type
            raise ValueError(
                f"{path}: expected a mapping of keys at the top level, got nothing or a list"
            ) from error
        if not isinstance(loaded, dict):
            raise ValueError(
                f"{path}: expected a mapping of keys at the top level, got {type(loaded).__name__}"
            )
        self._check_keys(loaded, "", str(path))
        self._merge(lambda: self.merge_from_other_cfg(type(self)(loaded)), str(path))

    def merge_from_list(self, cfg_list: list[str]) -> None:
        """Merges ``[KEY, VALUE, KEY, VALUE, ...]``, as given on a command line.

        Raises:
            ValueError: a key does not exist, a value has the wrong type, or one is left over.
        """
        if len(cfg_list) % 2:
            raise ValueError(
                f"configuration overrides come as KEY VALUE pairs; {cfg_list[-1]!r} has no value"
            )
        for key, value in zip(cfg_list[::2], cfg_list[1::2], strict=True):
            self._check_key_exists(key.split("."), key, "command line")
            self._check_list(key, value)
        self._merge(lambda: super(CfgNode, self).merge_from_list(cfg_list), "command line")

    def _check_list(self, key: str, value: Any) -> None:
        """A lone word where a list belongs is the commonest slip, and a shell takes the brackets' quotes away."""
        node: Any = self
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, (list, tuple)) and isinstance(self._decode_cfg_value(value), str):
            raise ValueError(f"command line: {key}: expected a list, got {value}; write \"['{value}']\"")

    @staticmethod
    def _merge(merge: Any, where: str) -> None:
        try:
            merge()
        except (AssertionError, KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{where}: {error.args[0] if error.args else error}") from error

    def _check_keys(self, loaded: dict[str, Any], prefix: str, where: str) -> None:
        for name, value in loaded.items():
            key = f"{prefix}{name}"
            self._check_key_exists(key.split("."), key, where)
            if isinstance(value, dict):
                self._check_keys(value, f"{key}.", where)

    def _check_key_exists(self, parts: list[str], key: str, where: str) -> None:
        node: Any = self
        for part in parts:
            if not isinstance(node, dict) or part not in node:
                close = difflib.get_close_matches(key, _leaves(self), n=1, cutoff=0.0)
                raise ValueError(f"{where}: unknown configuration key {key}; did you mean {close[0]}?")
            node = node[part]
            if isinstance(node, CfgNode) and node.is_new_allowed():
                return


def _leaves(node: CfgNode, prefix: str = "") -> list[str]:
    """All keys, inner ones included, with dots."""
    keys: list[str] = []
    for name, value in node.items():
        keys.append(prefix + name)
        if isinstance(value, dict):
            keys += _leaves(value, f"{prefix}{name}.")  # type: ignore[arg-type]
    return keys


def get_cfg() -> CfgNode:
    """A fresh copy of the defaults: the paper's FastPose-50 on PoseTrack's 15 joints."""
    c = CfgNode()
    c.VERSION = 2
    c.OUTPUT_DIR = "./output"
    c.SEED = -1  # -1: not seeded
    c.CUDNN_BENCHMARK = False
    c.VIS_PERIOD = 0  # steps between pictures of training images in TensorBoard (Lightning); 0: none

    c.MODEL = CfgNode()
    c.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"  # read by Detectron2 only
    c.MODEL.DEVICE = "auto"  # auto, cpu or cuda; ours adds auto
    c.MODEL.WEIGHTS = ""  # a file, "demo", or torchvision://NAME
    c.MODEL.KEYPOINT_ON = True
    c.MODEL.REID_ON = True  # ours: the identity head (paper, section 3.1)
    c.MODEL.SKELETON = "POSETRACK15"  # ours: a name from fastpose_mtn.skeletons
    # ImageNet statistics of INPUT.FORMAT's channel order, on 0..255 (timm's backbones)
    c.MODEL.PIXEL_MEAN = [123.675, 116.28, 103.53]
    c.MODEL.PIXEL_STD = [58.395, 57.12, 57.375]

    c.MODEL.BACKBONE = CfgNode()
    # ours, also under Detectron2; build_timm_dc5_backbone is the same without a pyramid (paper, Table 1d)
    c.MODEL.BACKBONE.NAME = "build_timm_fpn_backbone"
    c.MODEL.BACKBONE.FREEZE_AT = 2  # stages frozen: 0 none, 1 the stem, 2 the stem and the first stage
    c.MODEL.BACKBONE.NORM = "FrozenBN"  # ours: FrozenBN, BN, SyncBN or GN
    c.MODEL.TIMM = CfgNode()  # ours
    c.MODEL.TIMM.NAME = "resnet50"  # mobilenetv2_100, resnet18, resnet50, resnet101 (paper, section 4.1)
    # timm.create_model's own arguments for this network, for example {channels: [32, 64, 128, 256]}
    c.MODEL.TIMM.ARGS = CfgNode(new_allowed=True)
    c.MODEL.TIMM.STRIDE_IN_1X1 = False  # of bottlenecks; True for Detectron2's model zoo (MSRA's ResNets)
    c.MODEL.TIMM.PRETRAINED = False  # start from timm's ImageNet weights (downloads them)
    c.MODEL.FPN = CfgNode()
    c.MODEL.FPN.OUT_CHANNELS = 256
    c.MODEL.FPN.NORM = ""
    c.MODEL.FPN.FUSE_TYPE = "sum"

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
    c.MODEL.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    c.MODEL.RPN.CONV_DIMS = [-1]  # channels of the head's convolutions, -1: as the FPN
    c.MODEL.RPN.IOU_THRESHOLDS = [0.3, 0.7]  # below: negative; above: positive; between: ignored
    c.MODEL.RPN.IOU_LABELS = [0, -1, 1]
    c.MODEL.RPN.BATCH_SIZE_PER_IMAGE = 256  # anchors sampled for the loss
    c.MODEL.RPN.POSITIVE_FRACTION = 0.5
    c.MODEL.RPN.BBOX_REG_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
    c.MODEL.RPN.SMOOTH_L1_BETA = 0.0  # 0: L1
    c.MODEL.RPN.LOSS_WEIGHT = 1.0
    c.MODEL.RPN.BBOX_REG_LOSS_WEIGHT = 1.0
    c.MODEL.RPN.PRE_NMS_TOPK_TRAIN = 2000  # a level
    c.MODEL.RPN.PRE_NMS_TOPK_TEST = 1000
    c.MODEL.RPN.POST_NMS_TOPK_TRAIN = 1500  # an image; Detectron2's Keypoint R-CNN
    c.MODEL.RPN.POST_NMS_TOPK_TEST = 1000  # paper, section 3.4
    c.MODEL.RPN.NMS_THRESH = 0.7

    c.MODEL.ROI_HEADS = CfgNode()
    c.MODEL.ROI_HEADS.NAME = "MTNROIHeads"  # ours, also under Detectron2
    c.MODEL.ROI_HEADS.NUM_CLASSES = 1  # person
    c.MODEL.ROI_HEADS.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    c.MODEL.ROI_HEADS.IOU_THRESHOLDS = [0.5]
    c.MODEL.ROI_HEADS.IOU_LABELS = [0, 1]
    c.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 512  # proposals sampled for the box loss
    c.MODEL.ROI_HEADS.POSITIVE_FRACTION = 0.25
    c.MODEL.ROI_HEADS.PROPOSAL_APPEND_GT = True
    c.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.05
    c.MODEL.ROI_HEADS.NMS_THRESH_TEST = 0.5
    # ours: a reported box is the mean of those it suppressed that overlap it by more; 1: it stays as it is
    c.MODEL.ROI_HEADS.VOTE_THRESH_TEST = 0.7

    c.MODEL.ROI_BOX_HEAD = CfgNode()
    c.MODEL.ROI_BOX_HEAD.NAME = "FastRCNNConvFCHead"
    c.MODEL.ROI_BOX_HEAD.NUM_FC = 2
    c.MODEL.ROI_BOX_HEAD.FC_DIM = 1024
    c.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION = 7
    c.MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO = 0  # samples a bin; 0: as many as its pixels
    c.MODEL.ROI_BOX_HEAD.POOLER_TYPE = (
        "ROIAlignV2"  # V2 puts samples at pixel centres; torchvision's weights: ROIAlign
    )
    c.MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
    c.MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA = 0.5  # Detectron2's Keypoint R-CNN
    c.MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT = 1.0
    c.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG = False

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
    c.MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO = 0
    c.MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE = "ROIAlignV2"
    c.MODEL.ROI_KEYPOINT_HEAD.BATCH_SIZE_PER_IMAGE = 128  # ours: positive proposals trained, an image
    c.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE = 1
    c.MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS = True
    c.MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT = 1.0
    c.MODEL.ROI_KEYPOINT_HEAD.VISIBILITY_LOSS_WEIGHT = 0.5  # ours: visible against hidden, for the confidence

    c.MODEL.ROI_REID_HEAD = CfgNode()  # ours; paper, sections 3.1 and 3.4
    c.MODEL.ROI_REID_HEAD.NAME = "MTNReIDHead"
    c.MODEL.ROI_REID_HEAD.CONV_DIMS = (256,) * 4  # 2 for ResNet-18 and MobileNet-V2
    c.MODEL.ROI_REID_HEAD.CONV_DILATIONS = ()  # of each of CONV_DIMS; empty: 1
    c.MODEL.ROI_REID_HEAD.NORM = ""  # of the convolutions, as above
    c.MODEL.ROI_REID_HEAD.EMBEDDING_DIM = 128
    c.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # of the training data; 0: counted from the datasets
    c.MODEL.ROI_REID_HEAD.BATCH_SIZE_PER_IMAGE = 128  # positive proposals trained, an image
    c.MODEL.ROI_REID_HEAD.POOLER_RESOLUTION = 14
    c.MODEL.ROI_REID_HEAD.POOLER_SAMPLING_RATIO = 0
    c.MODEL.ROI_REID_HEAD.POOLER_TYPE = "ROIAlignV2"
    c.MODEL.ROI_REID_HEAD.NORMALIZE = True  # embeddings of length 1: distances lie in [0, 2]
    c.MODEL.ROI_REID_HEAD.SCALE = 16.0  # of the cosine logits where NORMALIZE
    c.MODEL.ROI_REID_HEAD.LOSS_WEIGHT = 1.0

    c.INPUT = CfgNode()
    c.INPUT.FORMAT = "RGB"
    c.INPUT.MIN_SIZE_TRAIN = (600,)  # pixels of the shorter side (paper: 600x1000)
    c.INPUT.MIN_SIZE_TRAIN_SAMPLING = "choice"
    c.INPUT.MAX_SIZE_TRAIN = 1000
    c.INPUT.MIN_SIZE_TEST = 600  # 0: as it is
    c.INPUT.MAX_SIZE_TEST = 1000
    c.INPUT.RANDOM_FLIP = "horizontal"  # or none
    c.INPUT.SIFP = CfgNode()  # ours: scale-normalised image pyramids (paper, section 3.2; data/sifp.py)
    c.INPUT.SIFP.ENABLED = False
    c.INPUT.SIFP.SCALES = [2.0, 1.5, 1.0, 0.75]  # factors on the base image, MIN_SIZE_TRAIN by MAX_SIZE_TRAIN
    c.INPUT.SIFP.VALID_RANGE = [16.0, 560.0]  # pixels: sqrt(wh) of a person who trains, after resizing
    c.INPUT.AUG = CfgNode()  # ours: cheap random changes, all off by default
    c.INPUT.AUG.SIZE = []  # [height, width] pixels that training images are cropped and padded to; []: not
    c.INPUT.AUG.SCALE = [1.0, 1.0]  # least and greatest random factor on MIN_SIZE_TRAIN
    c.INPUT.AUG.ROTATION = 0.0  # degrees: greatest angle either way
    c.INPUT.AUG.ROTATION_PROBABILITY = 0.5  # of turning an image
    c.INPUT.AUG.OCCLUSION = 0.0  # probability that a person is partly hidden behind a piece of the image
    c.INPUT.AUG.COLOR = 0.0  # brightness, contrast, saturation and channels change by up to this share
    c.INPUT.AUG.GRAY = 0.0  # probability of a grey image
    c.INPUT.AUG.BLUR = 0.0  # probability of a blur of 0.3 to 1.5 pixels

    c.DATASETS = CfgNode()
    c.DATASETS.TRAIN = ()
    # ours: how the images of a step are shared among DATASETS.TRAIN, such as [3, 1, 1]; (): by their numbers
    c.DATASETS.TRAIN_WEIGHTS = ()
    c.DATASETS.TEST = ()

    c.DATALOADER = CfgNode()
    c.DATALOADER.NUM_WORKERS = 4
    c.DATALOADER.ASPECT_RATIO_GROUPING = True
    c.DATALOADER.FILTER_EMPTY_ANNOTATIONS = True
    c.DATALOADER.SKIP_BAD_IMAGES = False  # ours: train without missing and corrupt images, counted; or stop
    c.DATALOADER.IMAGES_PER_SCENE = 2  # ours: images of one synthetic scene drawn together

    c.SOLVER = CfgNode()
    c.SOLVER.IMS_PER_BATCH = 16  # images a step, over all devices
    # ours: parts that a device's images of a step go through the network in, one after the other: less memory.
    # Batch normalisation and the losses' means are then those of a part.
    c.SOLVER.GRADIENT_ACCUMULATION = 1
    c.SOLVER.LOSS_WEIGHTS = (
        "fixed"  # ours: fixed (the heads' LOSS_WEIGHT), or uncertainty (learned, as in JDE)
    )
    # ours: parts of the network that train, such as roi_heads.reid_head; the others stay as they are; empty: all train
    c.SOLVER.TRAINED_PARTS = ()
    c.SOLVER.BASE_LR = 0.02
    c.SOLVER.MOMENTUM = 0.9
    c.SOLVER.NESTEROV = False
    c.SOLVER.WEIGHT_DECAY = 0.0001
    c.SOLVER.WEIGHT_DECAY_NORM = 0.0
    c.SOLVER.WEIGHT_DECAY_BIAS = None  # None: as WEIGHT_DECAY
    c.SOLVER.OPTIMIZER = "sgd"  # ours: sgd or adamw
    c.SOLVER.LR_SCHEDULER_NAME = "WarmupMultiStepLR"  # or WarmupCosineLR
    c.SOLVER.STEPS = (60000, 80000)  # steps at which the rate is multiplied by GAMMA
    c.SOLVER.GAMMA = 0.1
    c.SOLVER.MAX_ITER = 90000
    c.SOLVER.WARMUP_FACTOR = 0.001
    c.SOLVER.WARMUP_ITERS = 1000
    c.SOLVER.WARMUP_METHOD = "linear"
    c.SOLVER.BASE_LR_END = 0.0
    c.SOLVER.CHECKPOINT_PERIOD = 5000  # steps
    c.SOLVER.CHECKPOINTS_KEPT = 3  # ours: older ones are deleted; 0: none is
    c.SOLVER.LOG_PERIOD = 20  # ours: steps between two lines of the log
    c.SOLVER.AMP = CfgNode()
    c.SOLVER.AMP.ENABLED = False
    c.SOLVER.AMP.DTYPE = "bf16"  # ours: bf16 or fp16
    c.SOLVER.CLIP_GRADIENTS = CfgNode()
    c.SOLVER.CLIP_GRADIENTS.ENABLED = False
    c.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = "norm"  # value, norm (of each parameter) or full_model
    c.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = 1.0
    c.SOLVER.CLIP_GRADIENTS.NORM_TYPE = 2.0
    c.SOLVER.EMA = 0.0  # ours: decay of the weights' moving average that is kept and evaluated; 0: none

    c.TEST = CfgNode()
    c.TEST.DETECTIONS_PER_IMAGE = 100  # paper, section 3.4
    c.TEST.EVAL_PERIOD = 0  # steps; 0: at the end only
    # ours: with EVAL_PERIOD, keeps model_best.safetensors by it (Lightning); any name in evaluation.json, such
    # as posetrack/HOTA or search/mAP; "": keeps none
    c.TEST.BEST_METRIC = "keypoint/AP"
    c.TEST.AUG = CfgNode()  # each image at several sizes, merged (paper, Table 1e); Detectron2's values
    c.TEST.AUG.ENABLED = False
    c.TEST.AUG.MIN_SIZES = (400, 500, 600, 700, 800, 900, 1000, 1100, 1200)  # pixels of the shorter side
    c.TEST.AUG.MAX_SIZE = 4000  # pixels of the longer side
    c.TEST.AUG.FLIP = True  # each size mirrored too
    c.TEST.KEYPOINT_OKS_SIGMAS = []  # for decoding, and Detectron2's AP; empty: the skeleton's

    c.TRACKER = CfgNode()  # ours; paper, section 3.3
    c.TRACKER.STRATEGY = "occlusion_aware"  # or reid, iou (paper, Table 1c)
    c.TRACKER.JOINT_THRESH = 0.2  # gamma: a joint counts as visible above this confidence
    c.TRACKER.VALID_JOINTS = (
        10.0 / 15.0
    )  # theta_valid: an identity vector is valid above this share of visible joints
    c.TRACKER.POSITION_WEIGHT = 0.5  # theta_pos
    # sigma_max: distance between embeddings at and above which they are unlike; sqrt(2) is a right angle
    c.TRACKER.MAX_DISTANCE = 1.414
    c.TRACKER.MIN_SIMILARITY = 0.3  # the gate: a pair below it is no match
    c.TRACKER.MOTION = True  # overlap with the box that is expected; False: with the last one (the paper)
    c.TRACKER.MAX_LOST_SECONDS = 2.0  # of video, for which a lost person can be found again
    # scores are weighted by how sure the joints are; a network whose scores are its boxes' needs more: 0.7 and 0.5
    c.TRACKER.BIRTH_SCORE = 0.5  # an unmatched detection above it begins a track
    c.TRACKER.MIN_SCORE = 0.4  # detections below it are not looked at

    c.TRACKER_HEADS = CfgNode()
    c.TRACKER_HEADS.TRACKER_NAME = "OcclusionAwareTracker"  # read by Detectron2's build_tracker_head only

    c.VIDEO = CfgNode()  # ours
    c.VIDEO.FOLDER_FRAME_RATE = 30.0  # frames a second of a folder of images, which has no clock of its own
    c.VIDEO.RECONNECT_SECONDS = (
        300.0  # of waiting for a camera or stream that broke off, before it is given up
    )
    return c
