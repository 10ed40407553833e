"""The keys that all systems share, with their defaults, units and sources.

The names are Detectron2's where Detectron2 has the key, so one YAML file serves both hosts. Each system adds
its own keys, see ``system_protocols.System.add_config``; those marked "ours" are not Detectron2's.
"""

from __future__ import annotations

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.registry import SYSTEMS


def get_cfg() -> CfgNode:
    """The default configuration, a fresh copy: the paper's FastPose-50, and the keys of every registered system."""
    c = CfgNode()
    c.VERSION = 2  # of the keys; read by Detectron2 only
    c.OUTPUT_DIR = "./output"  # of a training: checkpoints, weights, logs and evaluations
    c.SEED = -1  # -1: not seeded
    c.CUDNN_BENCHMARK = False  # let cuDNN try its algorithms; faster where all images are of one size
    c.VIS_PERIOD = 0  # steps between pictures of training images in TensorBoard (Lightning); 0: none
    _add_model(c)
    _add_input(c)
    _add_datasets(c)
    _add_solver(c)
    _add_test(c)
    _add_tracker(c)
    _add_video(c)
    for name in SYSTEMS:
        SYSTEMS.get(name).add_config(c)
    return c


def _add_model(c: CfgNode) -> None:
    """Adds ``MODEL``: what networks of all systems have, backbone and pyramid."""
    c.MODEL = CfgNode()
    # the system: a name in registry.SYSTEMS; FastPose MTN's is Detectron2's
    c.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    c.MODEL.DEVICE = "auto"  # auto, cpu or cuda; ours adds auto
    c.MODEL.WEIGHTS = ""  # a file, people, alphapose-s, posedet-s, drawn, or torchvision://NAME
    c.MODEL.KEYPOINT_ON = True  # the keypoint head
    c.MODEL.REID_ON = True  # ours: the identity head (paper, section 3.1)
    c.MODEL.SKELETON = "POSETRACK15"  # ours: a name from fastpose_mtn.skeletons
    # of ImageNet, in INPUT.FORMAT's channel order, on 0..255 (timm's backbones)
    c.MODEL.PIXEL_MEAN = [123.675, 116.28, 103.53]
    c.MODEL.PIXEL_STD = [58.395, 57.12, 57.375]  # standard deviations, as PIXEL_MEAN

    c.MODEL.BACKBONE = CfgNode()
    # ours, also under Detectron2; build_timm_dc5_backbone is the same without a pyramid (paper, Table 1d)
    c.MODEL.BACKBONE.NAME = "build_timm_fpn_backbone"
    c.MODEL.BACKBONE.FREEZE_AT = 2  # stages frozen: 0 none, 1 the stem, 2 the stem and the first stage
    c.MODEL.BACKBONE.NORM = "FrozenBN"  # ours: FrozenBN, BN, SyncBN or GN
    c.MODEL.TIMM = CfgNode()  # ours
    c.MODEL.TIMM.NAME = "resnet50"  # mobilenetv2_100, resnet18, resnet50, resnet101 (paper, section 4.1)
    # timm.create_model's own arguments for this network, for example {channels: [32, 64, 128, 256]}; those that are
    # given, also {}, replace all others, as other networks have others
    c.MODEL.TIMM.ARGS = CfgNode(new_allowed=True)
    c.MODEL.TIMM.STRIDE_IN_1X1 = False  # of bottlenecks; True for Detectron2's model zoo (MSRA's ResNets)
    c.MODEL.TIMM.PRETRAINED = False  # start from timm's ImageNet weights (downloads them)
    c.MODEL.FPN = CfgNode()
    c.MODEL.FPN.OUT_CHANNELS = 256  # of each level
    c.MODEL.FPN.NORM = ""  # of the pyramid's convolutions: "", BN, SyncBN, GN or FrozenBN
    c.MODEL.FPN.FUSE_TYPE = "sum"  # sum or avg: how a level and the one above it become one


def _add_input(c: CfgNode) -> None:
    """Adds ``INPUT``: what is done to images before a network sees them."""
    c.INPUT = CfgNode()
    c.INPUT.FORMAT = "RGB"  # the network's channel order: RGB or BGR
    c.INPUT.MIN_SIZE_TRAIN = (600,)  # pixels of the shorter side (paper: 600x1000); 0: as it is
    c.INPUT.MIN_SIZE_TRAIN_SAMPLING = "choice"  # choice: one of MIN_SIZE_TRAIN; range: any between its two
    c.INPUT.MAX_SIZE_TRAIN = 1000  # pixels of the longer side, at most
    c.INPUT.MIN_SIZE_TEST = 600  # 0: as it is
    c.INPUT.MAX_SIZE_TEST = 1000  # pixels of the longer side, at most
    c.INPUT.RANDOM_FLIP = "horizontal"  # or none
    # ours: scale-normalised image pyramids (paper, section 3.2; data/transforms/sifp.py)
    c.INPUT.SIFP = CfgNode()
    c.INPUT.SIFP.ENABLED = False  # train on it
    c.INPUT.SIFP.SCALES = [2.0, 1.5, 1.0, 0.75]  # factors on the base image, MIN_SIZE_TRAIN by MAX_SIZE_TRAIN
    c.INPUT.SIFP.VALID_RANGE = [16.0, 560.0]  # pixels: sqrt(wh) of a person who trains, after resizing
    c.INPUT.AUG = CfgNode()  # ours: cheap random changes, all off by default
    c.INPUT.AUG.SIZE = []  # [height, width] pixels that training images are cropped and padded to; []: not
    c.INPUT.AUG.SCALE = [1.0, 1.0]  # least and greatest random factor on MIN_SIZE_TRAIN
    # crops of SIZE are centred on a random person, and padded where they reach out of the image (PoseDet, section 4.1);
    # False: they are anywhere in it
    c.INPUT.AUG.AROUND_PERSON = False
    c.INPUT.AUG.ROTATION = 0.0  # degrees: greatest angle either way
    c.INPUT.AUG.ROTATION_PROBABILITY = 0.5  # of turning an image
    c.INPUT.AUG.OCCLUSION = 0.0  # probability that a person is partly hidden behind a piece of the image
    c.INPUT.AUG.PASTE = 0.0  # probability that a real person is pasted in front of a person
    c.INPUT.AUG.PASTE_FOLDER = ""  # of people with outlines: images/NAME.* and masks/NAME.png, 255 inside
    c.INPUT.AUG.COLOR = 0.0  # brightness, contrast, saturation and channels change by up to this share
    c.INPUT.AUG.GRAY = 0.0  # probability of a grey image
    c.INPUT.AUG.BLUR = 0.0  # probability of a blur of 0.3 to 1.5 pixels


def _add_datasets(c: CfgNode) -> None:
    """Adds ``DATASETS`` and ``DATALOADER``."""
    c.DATASETS = CfgNode()
    c.DATASETS.TRAIN = ()  # names, as in datasets/README.md: registered ones, json://, crops://, synthetic://
    # ours: how the images of a step are shared among DATASETS.TRAIN, such as [3, 1, 1]; (): by their numbers
    c.DATASETS.TRAIN_WEIGHTS = ()
    c.DATASETS.TEST = ()  # names of the datasets to evaluate on

    c.DATALOADER = CfgNode()
    c.DATALOADER.NUM_WORKERS = 4  # processes that read and prepare images; 0: the training's own
    c.DATALOADER.ASPECT_RATIO_GROUPING = True  # a step's images are all wide or all tall
    c.DATALOADER.FILTER_EMPTY_ANNOTATIONS = True  # do not train on images without people
    c.DATALOADER.SKIP_BAD_IMAGES = False  # ours: train without missing and corrupt images, counted; or stop
    c.DATALOADER.IMAGES_PER_SCENE = 2  # ours: images of one synthetic scene drawn together


def _add_solver(c: CfgNode) -> None:
    """Adds ``SOLVER``: the training."""
    c.SOLVER = CfgNode()
    c.SOLVER.IMS_PER_BATCH = 16  # images a step, over all devices
    # ours: parts that a device's images of a step go through the network in, one after the other: less memory.
    # Batch normalisation and the losses' means are then those of a part.
    c.SOLVER.GRADIENT_ACCUMULATION = 1
    # ours: fixed (the heads' LOSS_WEIGHT), or uncertainty (learned, as in JDE)
    c.SOLVER.LOSS_WEIGHTS = "fixed"
    # ours: parts of the network that train, such as roi_heads.reid_head; the others stay as they are; empty: all train
    c.SOLVER.TRAINED_PARTS = ()
    c.SOLVER.BASE_LR = 0.02  # learning rate after the warm-up
    c.SOLVER.MOMENTUM = 0.9  # of sgd
    c.SOLVER.NESTEROV = False  # Nesterov's momentum, of sgd
    c.SOLVER.WEIGHT_DECAY = 0.0001  # of all weights but those below
    c.SOLVER.WEIGHT_DECAY_NORM = 0.0  # of normalisation layers
    c.SOLVER.WEIGHT_DECAY_BIAS = None  # None: as WEIGHT_DECAY
    c.SOLVER.OPTIMIZER = "sgd"  # ours: sgd, adamw or adam
    c.SOLVER.LR_SCHEDULER_NAME = "WarmupMultiStepLR"  # WarmupCosineLR, or ours: WarmupLinearLR
    c.SOLVER.STEPS = (60000, 80000)  # steps at which the rate is multiplied by GAMMA
    # ours: [[step, factor], ...]: the rate begins anew at a step, with this factor on BASE_LR (warm restarts); STEPS and
    # cosines count from there
    c.SOLVER.RESTARTS = []
    c.SOLVER.GAMMA = 0.1  # factor on the rate at each of STEPS
    c.SOLVER.MAX_ITER = 90000  # steps of the training
    c.SOLVER.WARMUP_FACTOR = 0.001  # of BASE_LR, that the warm-up starts from
    c.SOLVER.WARMUP_ITERS = 1000  # steps of the warm-up
    c.SOLVER.WARMUP_METHOD = "linear"  # linear, or constant: WARMUP_FACTOR throughout
    c.SOLVER.BASE_LR_END = 0.0  # learning rate at the end, of WarmupCosineLR and WarmupLinearLR
    c.SOLVER.CHECKPOINT_PERIOD = 5000  # steps
    c.SOLVER.CHECKPOINTS_KEPT = 3  # ours: older ones are deleted; 0: none is
    c.SOLVER.LOG_PERIOD = 20  # ours: steps between two lines of the log
    c.SOLVER.AMP = CfgNode()
    c.SOLVER.AMP.ENABLED = False  # train in mixed precision
    c.SOLVER.AMP.DTYPE = "bf16"  # ours: bf16 or fp16
    c.SOLVER.CLIP_GRADIENTS = CfgNode()
    c.SOLVER.CLIP_GRADIENTS.ENABLED = False  # limit gradients
    c.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = "norm"  # value, norm (of each parameter) or full_model
    c.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = 1.0  # the limit
    c.SOLVER.CLIP_GRADIENTS.NORM_TYPE = 2.0  # of norm and full_model: 2.0 is the Euclidean norm
    c.SOLVER.EMA = 0.0  # ours: decay of the weights' moving average that is kept and evaluated; 0: none


def _add_test(c: CfgNode) -> None:
    """Adds ``TEST``: evaluation, several views of an image, and people found twice."""
    c.TEST = CfgNode()
    c.TEST.DETECTIONS_PER_IMAGE = 100  # paper, section 3.4
    # ours: truth: people are located in the boxes of the labels, which tells what joints are worth by themselves; "":
    # in those that are found (Lightning)
    c.TEST.DETECTOR = ""
    c.TEST.EVAL_PERIOD = 0  # steps; 0: at the end only
    # ours: with EVAL_PERIOD, keeps model_best.safetensors by it (Lightning); any name in evaluation.json, such
    # as posetrack/HOTA or search/mAP; "": keeps none
    c.TEST.BEST_METRIC = "keypoint/AP"
    c.TEST.AUG = CfgNode()  # each image at several sizes, merged (paper, Table 1e); Detectron2's values
    c.TEST.AUG.ENABLED = False  # look at each image several times
    c.TEST.AUG.MIN_SIZES = (400, 500, 600, 700, 800, 900, 1000, 1100, 1200)  # pixels of the shorter side
    c.TEST.AUG.MAX_SIZE = 4000  # pixels of the longer side
    # ours: of the longer side at each of MIN_SIZES, where they differ; (): MAX_SIZE
    c.TEST.AUG.MAX_SIZES = ()
    c.TEST.AUG.FLIP = True  # each size mirrored too
    # ours: of people with the same pose, which are one person found twice, the best is reported (ops/pose_nms.py); off
    # where results are to be those of another project's weights. Both numbers were chosen on drawn crowds.
    c.TEST.POSE_NMS = CfgNode()
    c.TEST.POSE_NMS.ENABLED = True  # leave them out
    # what tells that two people are one: joints, that coincide; parametric, AlphaPose's pose NMS (Fang et al., PAMI 2022,
    # section 3.4), released, its code's, in pixels; oks
    c.TEST.POSE_NMS.KIND = "joints"
    c.TEST.POSE_NMS.REACH = 0.08  # joints nearer to each other, in heights of the higher box, coincide
    c.TEST.POSE_NMS.SHARE = 1.0 / 3.0  # with more of their joints coinciding, two detections are one person
    c.TEST.POSE_NMS.OKS = 0.9  # of oks: similarity at and above which two people are one
    c.TEST.POSE_NMS.SIGMA1 = 1.0  # of parametric: of the confidences (equation 17)
    c.TEST.POSE_NMS.SIGMA2 = 0.01  # of parametric: of squared distances in sizes of the person (equation 18)
    c.TEST.POSE_NMS.LAMBDA = 1.7  # of parametric: weight of the distances (equation 19)
    c.TEST.POSE_NMS.ETA = 1.2  # of parametric: similarity at and above which two people are one
    c.TEST.POSE_NMS.MERGE = True  # of parametric and released: joints of people who are one are averaged
    # of parametric and released: who has no joint this sure is left out (code: 0.3; 0.01 of whole bodies, by integrals)
    c.TEST.POSE_NMS.FLOOR = 0.05
    c.TEST.KEYPOINT_OKS_SIGMAS = []  # for decoding, and Detectron2's AP; empty: the skeleton's


def _add_tracker(c: CfgNode) -> None:
    """Adds ``TRACKER``: what all trackers share, then what each of the others has of its own."""
    # ours; paper, section 3.3; tracking.parameters.TrackerParameters says where each value is from
    c.TRACKER = CfgNode()
    c.TRACKER.NAME = "occlusion_aware"  # a name in registry.TRACKERS: occlusion_aware, msim, flow
    c.TRACKER.STRATEGY = "occlusion_aware"  # or reid, iou (paper, Table 1c)
    c.TRACKER.JOINT_THRESH = 0.2  # gamma: a joint is visible above this confidence
    # joints below this confidence are left out of the results: PoseTrack's MOTA counts every joint that is there (MDPN, table 2)
    c.TRACKER.JOINT_OUTPUT_THRESH = 0.0
    # theta_valid: an embedding is valid above this share of visible joints
    c.TRACKER.VALID_JOINTS = 10.0 / 15.0
    c.TRACKER.POSITION_WEIGHT = 0.5  # theta_pos
    # sigma_max: distance between embeddings at and above which they are unlike; sqrt(2) is a right angle
    c.TRACKER.MAX_DISTANCE = 1.414
    c.TRACKER.MIN_SIMILARITY = 0.3  # the gate: a pair below it is no match
    c.TRACKER.MOTION = True  # overlap with the box that is expected; False: with the last one (the paper)
    c.TRACKER.MAX_LOST_SECONDS = 2.0  # of video, for which a lost person can be found again
    c.TRACKER.MAX_LOST = 1000  # people
    c.TRACKER.MAX_FRAME_SECONDS = 1.0  # frames further apart are a break in the video
    # scores are weighted by how sure the joints are; a network whose scores are its boxes' needs more: 0.7 and 0.5
    c.TRACKER.BIRTH_SCORE = 0.5  # an unmatched detection above it begins a track
    c.TRACKER.MIN_SCORE = 0.4  # detections below it are left out; no joints are located of boxes below it
    c.TRACKER.DUPLICATE_IOU = 0.9  # nobody new above this overlap with somebody
    c.TRACKER.EMBEDDING_GAIN = 0.15  # share of a new embedding in a track's
    c.TRACKER.POSITION_MEMORY_SECONDS = 0.7  # in which a lost person's POSITION_WEIGHT falls to 1/e
    # with the expected box: who is lost, or overlaps less, must be near and as high
    c.TRACKER.CERTAIN_OVERLAP = 0.1
    c.TRACKER.REACH = 0.6  # heights from the expected place in which a person is found without that overlap
    c.TRACKER.REACH_PER_SECOND = 2.0  # heights more with every second
    c.TRACKER.MIN_HEIGHT_RATIO = 0.6  # of a lost person and who may be them
    c.TRACKER.MIN_APPEARANCE = 0.1  # similarity below which two people in full view are different
    c.TRACKER.APPEARANCE_FLOOR = 0.1  # what appearance counts at least in recovering the lost
    # of two frames, below which a scene cut lies between them; 0 looks for none
    c.TRACKER.CUT_CORRELATION = 0.6
    c.TRACKER.CUT_APPEARANCE = 0.6  # similarity from which a person of the scene before a cut is found again
    c.TRACKER.POSITION_NOISE = 0.04  # heights; standard deviation of a detected centre
    c.TRACKER.MIN_POSITION_NOISE = 0.5  # pixels
    c.TRACKER.START_VELOCITY = 1.0  # heights a second; standard deviation
    c.TRACKER.ACCELERATION = 2.0  # heights a second to the power of 1.5; standard deviation
    c.TRACKER.SIZE_GAIN = 0.5  # share of a detected size in the expected box's
    c.TRACKER.COASTING_SECONDS = 3.0  # in which a lost person's velocity falls to 1/e
    _add_other_trackers(c)

    c.TRACKER_HEADS = CfgNode()
    c.TRACKER_HEADS.TRACKER_NAME = "OcclusionAwareTracker"  # read by Detectron2's build_tracker_head only


def _add_other_trackers(c: CfgNode) -> None:
    """Adds the keys of the trackers ``msim`` and ``flow``, and of tracking with hindsight."""
    # ours: of TRACKER.NAME msim, AlphaPose's multi-stage identity matching (Fang et al., PAMI 2022, section 4.2); besides
    # these it reads BIRTH_SCORE, MIN_SCORE, JOINT_THRESH, JOINT_OUTPUT_THRESH, MAX_FRAME_SECONDS and CUT_CORRELATION
    c.TRACKER.MSIM = CfgNode()
    # greatest cost of the first stage: cosine distance and motion (its paper)
    c.TRACKER.MSIM.EMB_THRESH = 0.7
    c.TRACKER.MSIM.MOTION_WEIGHT = 0.02  # of the squared Mahalanobis distance in that cost (its code)
    # greatest squared Mahalanobis distance; 0: none, as in its paper. Its code: 9.4877, 95 % of a chi-square of 4
    c.TRACKER.MSIM.GATE = 0.0
    # greatest cost of the second stage: missing overlap and pose (its paper)
    c.TRACKER.MSIM.FUSED_THRESH = 0.5
    c.TRACKER.MSIM.POSE_WEIGHT = 0.2  # of the pose in that cost; its paper gives none, its code has none
    # greatest cost of the third stage, which new tracks take part in (its code, of missing overlap alone)
    c.TRACKER.MSIM.RELAXED_THRESH = 0.7
    c.TRACKER.MSIM.MEMORY = 0.9  # share of a track's embedding that is kept when it is found again (its code)
    c.TRACKER.MSIM.MAX_LOST_SECONDS = 8.0  # for which a lost person can be found again (its code: 240 frames)
    # overlap above which a lost and a found track are one person's (its code)
    c.TRACKER.MSIM.DUPLICATE_IOU = 0.85
    # what is reported: detected, or filtered, the motion model's (its code)
    c.TRACKER.MSIM.BOXES = "detected"
    c.TRACKER.MSIM.REPORT_TENTATIVE = True  # people who were seen once only are reported too (its code)
    # an embedding counts above this share of visible joints, as TRACKER.VALID_JOINTS; 0: every one
    c.TRACKER.MSIM.VALID_JOINTS = 0.0

    # of the tracker flow: poses carried on by optical flow, compared by OKS (MDPN, Guo et al. 2018, section 3.3); it shares
    # MIN_SCORE, BIRTH_SCORE, JOINT_THRESH, JOINT_OUTPUT_THRESH, DUPLICATE_IOU, MAX_FRAME_SECONDS and CUT_CORRELATION
    c.TRACKER.FLOW = CfgNode()
    c.TRACKER.FLOW.METHOD = "dis"  # farneback, raft (weights are downloaded), or none: nothing moves
    c.TRACKER.FLOW.MAX_SIDE = 640  # pixels, to which larger frames' longer side is reduced
    c.TRACKER.FLOW.WINDOW = 5  # a joint moves by the median of so many pixels a side, of the reduced frame
    c.TRACKER.FLOW.HISTORY = 8  # frames after which somebody who was not seen again is forgotten
    c.TRACKER.FLOW.MIN_OKS = 0.05  # the gate: a pair below it is no match
    c.TRACKER.FLOW.CONFIRM = 1  # frames somebody must be seen in to be reported

    c.TRACKER.OFFLINE = CfgNode()  # of fastpose retrack --offline, which knows the whole video
    c.TRACKER.OFFLINE.MAX_GAP_SECONDS = 5.0  # the longest gap over which tracklets are joined
    # share of a box that another covers, above which it is doubtful whose it is: tracks are cut there before joining
    c.TRACKER.OFFLINE.CONTESTED_COVER = 0.2
    # what speaks for a join before anything is compared; more joins more
    c.TRACKER.OFFLINE.JOIN_EVIDENCE = 12.0
    c.TRACKER.OFFLINE.APPEARANCE_WEIGHT = 6.0  # of a difference as between two people of one frame
    c.TRACKER.OFFLINE.KEEP_EVIDENCE = 1.0  # what speaks for a link that the tracker made
    c.TRACKER.OFFLINE.MIN_DETECTIONS = 2  # tracks with fewer are pruned
    c.TRACKER.OFFLINE.INTERPOLATE_SECONDS = 0.5  # gaps up to this long are filled with interpolated people


def _add_video(c: CfgNode) -> None:
    """Adds ``VIDEO``: sources of frames."""
    c.VIDEO = CfgNode()  # ours
    c.VIDEO.FOLDER_FRAME_RATE = 30.0  # frames a second of a folder of images, which has no clock of its own
    # of waiting for a camera or stream that broke off, before it is given up
    c.VIDEO.RECONNECT_SECONDS = 300.0
