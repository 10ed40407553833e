"""``python mixed_run.py OUTPUT_DIR [KEY VALUE ...]``: two processes train a network together; each leaves what it has.

``weights_RANK.pt`` are a process's weights after the last step, ``gradients_RANK.pt`` that step's gradients.
"""

import os
import sys
from pathlib import Path

import torch

from fastpose_mtn.config import get_cfg
from fastpose_mtn.engine import train as train_module
from fastpose_mtn.engine.launch import LaunchConfiguration

torch.set_num_threads(1)
folder = Path(sys.argv[1])
cfg = get_cfg()
cfg.merge_from_list(["OUTPUT_DIR", str(folder), *sys.argv[2:]])
built = []
build_network = train_module.build_network
train_module.build_network = lambda cfg: built.append(build_network(cfg)) or built[-1]
train_module.train(cfg, launch=LaunchConfiguration(num_gpus=2))
rank = os.environ.get("LOCAL_RANK", "0")
trained = dict(built[-1].named_parameters())
torch.save({name: p.detach() for name, p in trained.items()}, folder / f"weights_{rank}.pt")
torch.save({name: p.grad for name, p in trained.items()}, folder / f"gradients_{rank}.pt")
