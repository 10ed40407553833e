"""An MSPN so small that a step takes a fraction of a second."""

from fastpose_mtn.config import get_cfg

SMALL = [
    "MODEL.TIMM.PRETRAINED", "False", "MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu", "MODEL.TOPDOWN.INPUT_SIZE", "[64, 32]",
    "MODEL.MSPN.BLOCK", "basic", "MODEL.MSPN.BLOCKS", "[1, 1, 1, 1]", "MODEL.MSPN.CHANNELS", "4", "MODEL.MSPN.UP_CHANNELS", "8",
    "MODEL.TOPDOWN.DETECTOR.WEIGHTS", "",
]  # fmt: skip


def mspn_config(*options, file="mspn-s"):
    """A configuration file's, small."""
    cfg = get_cfg()
    cfg.merge_from_file(file)
    cfg.merge_from_list([*SMALL, *options])
    return cfg
