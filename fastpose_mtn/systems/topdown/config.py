"""The keys of top-down systems: a detector's boxes, crops, a pose network, one person at a time."""

from __future__ import annotations

from fastpose_mtn.config.node import CfgNode


def add_topdown_config(c: CfgNode) -> None:
    """Adds the keys of crops, network and losses; *paper* is AlphaPose's (Fang et al., PAMI 2022)."""
    # MODEL.META_ARCHITECTURE TopDownPose; MODEL.TIMM names its backbone, MODEL.BACKBONE what is frozen in it
    c.MODEL.TOPDOWN = CfgNode()
    c.MODEL.TOPDOWN.NAME = "DUCPose"  # the network: a name in systems.topdown.system.NETWORKS
    c.MODEL.TOPDOWN.INPUT_SIZE = [256, 192]  # [height, width] of a crop; multiples of 32
    c.MODEL.TOPDOWN.PADDING = 1.25  # factor on the box, once it is extended to the input's proportions
    # factors on the box's width and height before it is extended (MSPN's release: 1.09 and 1.135, with PADDING 1)
    c.MODEL.TOPDOWN.MARGINS = [1.0, 1.0]
    # continuous: pixel i spans i to i + 1, as everywhere; of weights that others trained, whose cells mean whole
    # coordinates, and whose crops are black beside the frame and sampled without averaging: index, as AlphaPose and Simple
    # Baselines, or megvii, as MSPN's release and mmpose's MegviiHeatmap
    c.MODEL.TOPDOWN.COORDINATES = "continuous"
    # one squeeze-and-excitation layer in the first block of each stage (paper, section 5.2); bottleneck ResNets only
    c.MODEL.TOPDOWN.SQUEEZE_EXCITATION = True
    # 3x3 convolutions behind stride 4 of bottleneck ResNets: plain; deformable (its code's "dcn"); unshuffle: strided ones see
    # every pixel (its code's "shuffle")
    c.MODEL.TOPDOWN.CONVOLUTIONS = "plain"
    # duc (dense upsampling convolutions; paper, section 5.2), duc_deep (its code's, of 4, 2 and 1 convolutions) or deconv
    # (Simple Baselines, Xiao et al. 2018)
    c.MODEL.TOPDOWN.UPSAMPLER = "duc"
    c.MODEL.TOPDOWN.UPSAMPLER_DIM = 256  # channels after the first DUC, or of each deconvolution
    c.MODEL.TOPDOWN.CONV_DIM = 128  # channels before the last convolution, of duc
    # integral (paper, section 3.1), heatmap (a Gaussian's mean squared error), combined (heatmaps of the body and feet,
    # integrals of faces and hands; its code), or ours, cross_entropy: over the cells, as
    # in Mask R-CNN, decoded at the position of greatest expected OKS
    c.MODEL.TOPDOWN.LOSS = "integral"
    c.MODEL.TOPDOWN.LOSS_WEIGHT = 1.0  # of the joints' positions
    c.MODEL.TOPDOWN.NORMALISATION = "two_step"  # of integral: two_step (paper, equation 13), or softmax
    c.MODEL.TOPDOWN.GRADIENT = "symmetric"  # of integral: symmetric (paper, equation 3), or true
    # of the symmetric gradient, a share of the heatmap's side (paper: 1/8)
    c.MODEL.TOPDOWN.ASG_AMPLITUDE = 0.125
    c.MODEL.TOPDOWN.ASG_AMPLITUDE_ABSOLUTE = 0.0  # cells, the same along both axes; 0: ASG_AMPLITUDE counts
    c.MODEL.TOPDOWN.PART_WEIGHTS = CfgNode()  # of integral: of the joints' distances, by their part
    c.MODEL.TOPDOWN.PART_WEIGHTS.BODY = 2.0  # eyes, ears and nose among it
    c.MODEL.TOPDOWN.PART_WEIGHTS.FOOT = 2.0  # toes and heels
    c.MODEL.TOPDOWN.PART_WEIGHTS.FACE = 1.0  # its 68 points
    c.MODEL.TOPDOWN.PART_WEIGHTS.HANDS = 1.0  # fingers and their root
    # ours: visible against hidden, for the confidences of integral and cross_entropy, which nothing trains otherwise; 0: off
    c.MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT = 0.0
    c.MODEL.TOPDOWN.HEATMAP_SIGMA = 2.0  # of heatmap: standard deviation of the targets, cells
    c.MODEL.TOPDOWN.SUBPIXEL_TARGET = False  # of heatmap: targets between cells; False: rounded to one
    # of heatmap: between cells; quarter (Simple Baselines, mmpose), second_max (MSPN), dark, dark_udp, or
    # argmax, the highest cell itself, see ops.heatmap_peaks.decode_peaks
    c.MODEL.TOPDOWN.DECODER = "quarter"
    c.MODEL.TOPDOWN.FILTER_KERNEL = 0  # of heatmap: cells of a Gaussian filter before it, odd; 0: none
    c.MODEL.TOPDOWN.HEATMAP_PEAK = 1.0  # of heatmap: height of the targets; 255: MSPN's published weights
    # weights of further networks, whose maps are averaged with this one's
    c.MODEL.TOPDOWN.ENSEMBLE = []
    c.MODEL.TOPDOWN.FLIP_TEST = False  # look at each crop's mirror image too, at twice the cost
    c.MODEL.TOPDOWN.POSE_BATCH = 64  # crops that go through the network together at most
    # a person's score: product (the box's times the mean of the confidences above 0.2), mean (times that of all: MSPN's
    # paper), release (MSPN's, which ranks by confidences plus a half), oks (of cross_entropy: times the mean expected OKS
    # of the joints, as FastPose MTN's) or box
    c.MODEL.TOPDOWN.SCORE = "product"

    # identities, where MODEL.REID_ON (paper, section 4.3); MODEL.ROI_REID_HEAD has the vectors' length, their loss and its
    # weight. DUCPose alone has them; of other networks the detector's vectors are used
    c.MODEL.TOPDOWN.REID = CfgNode()
    # one backbone for poses and identities; False: a second one, twice the work
    c.MODEL.TOPDOWN.REID.SHARED = True
    c.MODEL.TOPDOWN.REID.PGA = True  # pose-guided attention: heatmaps of body and feet weigh the features
    # ours: the backbone's last, shuffled to stride 16; c5: as they are
    c.MODEL.TOPDOWN.REID.IN_FEATURES = "shuffle"
    c.MODEL.TOPDOWN.REID.DIM = 256  # ours: channels of the branch's convolution

    # who finds the people, in frames of INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST; both 0: of the detector's own size
    c.MODEL.TOPDOWN.DETECTOR = CfgNode()
    # weights of any system: a file, exported ones too, people, drawn or torchvision://NAME; or a file of boxes: COCO's or
    # AlphaPose's results (.json), MOTChallenge's det.txt, saved detections (.npz); "": boxes are always given
    c.MODEL.TOPDOWN.DETECTOR.WEIGHTS = "people"
    # further detectors, whose boxes are merged with its own (MDPN, section 2.2: four together); at as many times the cost
    c.MODEL.TOPDOWN.DETECTOR.OTHERS = []
    c.MODEL.TOPDOWN.DETECTOR.NMS = 0.6  # of merged boxes: overlap above which the best one stays
    # factors on the scores of WEIGHTS and of each of OTHERS: those of different detectors do not mean the same; []: 1
    c.MODEL.TOPDOWN.DETECTOR.SCORE_SCALES = []
    c.MODEL.TOPDOWN.DETECTOR.SCORE_THRESH = 0.1  # boxes scored lower are left out (paper, section 3.4)
    c.MODEL.TOPDOWN.DETECTOR.MAX = 100  # people of a frame at most

    c.INPUT.CROP = CfgNode()  # ours: random changes of top-down training crops, made in one warp
    c.INPUT.CROP.HALF_BODY = 0.3  # probability that only the upper or the lower half is shown
    c.INPUT.CROP.HALF_BODY_JOINTS = 8  # of people with more labelled joints than these
    # standard deviation of the factor on the crop's size, which stays in 0.65 to 1.35
    c.INPUT.CROP.SCALE = 0.35
    # normal, as SCALE and ROTATION say; uniform: in SCALE_RANGE, and within ROTATION either way (MSPN's paper)
    c.INPUT.CROP.DISTRIBUTION = "normal"
    c.INPUT.CROP.SCALE_RANGE = [0.7, 1.35]  # of uniform: least and greatest factor on the crop's size
    # greatest random growth of boxes' width and height, shares (MSPN's release: 0.6, 0.8)
    c.INPUT.CROP.GROWTH = [0.0, 0.0]
    c.INPUT.CROP.SHIFT = 0.0  # greatest random move of the crop either way, in shares of it (mmpose: 0.16)
    c.INPUT.CROP.SHIFT_PROBABILITY = 0.3  # of moving at all
    c.INPUT.CROP.ROTATION = 45.0  # degrees: standard deviation of the turn, which stays within twice as much
    c.INPUT.CROP.ROTATION_PROBABILITY = 0.6  # of turning at all
    c.INPUT.PGPG = CfgNode()  # ours: crops around boxes as a detector draws them (paper, section 3.3)
    # mixture or uniform, of TABLE; released: one distribution for everybody; "": the labelled boxes
    c.INPUT.PGPG.SAMPLER = ""
    c.INPUT.PGPG.TABLE = ""  # YAML that python -m fastpose_mtn.data.proposals fit has written
    c.INPUT.PGPG.FROM_ITER = 0  # step from which on they are drawn; until then the labelled boxes
