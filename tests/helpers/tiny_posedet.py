"""A PoseDet so small that a step takes a fraction of a second."""

from fastpose_mtn.config import get_cfg

TINY_POSEDET = [
    "MODEL.META_ARCHITECTURE", "PoseDet", "MODEL.DEVICE", "cpu", "MODEL.TIMM.NAME", "mobilenetv2_035",
    "MODEL.TIMM.PRETRAINED", "False", "MODEL.BACKBONE.NORM", "BN", "MODEL.BACKBONE.FREEZE_AT", "0", "MODEL.WEIGHTS", "",
    "MODEL.FPN.OUT_CHANNELS", "16", "MODEL.FPN.NORM", "BN", "MODEL.ROI_REID_HEAD.EMBEDDING_DIM", "8",
    "MODEL.POSEDET.INIT_CONVS", "1", "MODEL.POSEDET.REFINE_CONVS", "1", "MODEL.POSEDET.CLS_CONVS", "1",
    "MODEL.POSEDET.CLS_SEEDS", "True", "MODEL.POSEDET.BOX", "regressed", "INPUT.MIN_SIZE_TEST", "0",
]  # fmt: skip


def posedet_config(*options):
    """The defaults of the keys, with a small network."""
    cfg = get_cfg()
    cfg.merge_from_list([*TINY_POSEDET, *options])
    return cfg
