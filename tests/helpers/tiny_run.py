"""``python tiny_run.py OUTPUT_DIR [KEY VALUE ...]``: trains a tiny network on drawn images.

What it computes for an image depends on this image alone. KILL_AT=N in the environment kills the process, as
a power cut would, in its N-th step; under torchrun the processes train together.
"""

import os
import signal
import sys
from types import MappingProxyType

import torch
from torch import nn

from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine import train as train_module
from fastpose_mtn.engine.launch import LaunchConfiguration

OPTIONS = [
    "SEED", 5, "MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", 0, "INPUT.MIN_SIZE_TRAIN", (64,),
    "DATASETS.TRAIN", ("synthetic://tiny?seeds=0-3&frames=6&size=96x64&people=1-3",),
    "SOLVER.IMS_PER_BATCH", 4, "SOLVER.MAX_ITER", 5, "SOLVER.WARMUP_ITERS", 0, "SOLVER.BASE_LR", 0.05,
    "SOLVER.EMA", 0.9, "SOLVER.CHECKPOINT_PERIOD", 2, "SOLVER.LOG_PERIOD", 3,
]  # fmt: skip


class TinyNetwork(nn.Module):
    loss_tasks = MappingProxyType(
        {"loss_cls": "boxes", "loss_keypoint": "keypoints", "loss_reid": "identities"}
    )

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 2, 1))
        self.calls, self.sizes = 0, []

    def losses(self, batch):
        self.calls += 1
        self.sizes.append(len(batch))
        if self.calls == int(os.environ.get("KILL_AT", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        out = self.layers(torch.stack([image.float() / 255 for image in batch.images])).mean((2, 3))
        wanted = torch.stack([t.boxes.sum(0)[:2] for t in batch.targets]) / 500
        return {"loss_cls": (out - wanted).abs().mean(), "loss_reid": (out[:, 0] ** 2).mean()}


def run(folder, *options, resume=False, launch=None):
    """The final weights' file, and the network."""
    cfg = get_cfg()
    cfg.merge_from_list([*OPTIONS, "OUTPUT_DIR", str(folder), *options])
    built = []
    before, threads = train_module.build_network, torch.get_num_threads()
    train_module.build_network = lambda cfg: built.append(TinyNetwork()) or built[-1]
    torch.set_num_threads(1)
    try:
        return train_module.train(cfg, resume=resume, launch=launch), built[-1]
    finally:
        train_module.build_network = before
        torch.set_num_threads(threads)


if __name__ == "__main__":
    run(sys.argv[1], *sys.argv[2:], launch=LaunchConfiguration(int(os.environ.get("WORLD_SIZE", 1))))
