"""``python tiny_experiment.py OUTPUT TABLE``: runs a table's experiments; KILL_AT=N in the environment kills it in a step.

The networks are so small that a step takes a fraction of a second.
"""

import os
import signal
import sys
from pathlib import Path

import experiments
import yaml
from tiny_mspn import SMALL

TRAIN = {
    **dict(zip(SMALL[::2], SMALL[1::2], strict=True)),
    "MODEL.SKELETON": "POSETRACK15", "MODEL.TOPDOWN.INPUT_SIZE": [64, 32], "MODEL.MSPN.STAGES": 1,
    "DATALOADER.NUM_WORKERS": 0, "SOLVER.IMS_PER_BATCH": 4, "INPUT.PGPG.SAMPLER": "",
    "DATASETS.TRAIN": ["synthetic://tiny?seeds=0-2&frames=2&size=160x120&people=2-3"],
}  # fmt: skip
TABLE = {
    "config": "mspn-s", "steps": 10, "train": TRAIN,
    "test": {"TEST.DETECTOR": "truth", "MODEL.TOPDOWN.DETECTOR.WEIGHTS": ""},
    "images": "synthetic://held-out?seeds=800000-800002&frames=2&size=160x120&people=2-3",
    "choose_images": "synthetic://other?seeds=700000&frames=1&size=160x120&people=2-3",
    "experiments": {
        "T1": {
            "question": "Does it run?", "paper": "yes", "figures": ["joints/error", "keypoint/AP50"],
            "arms": {
                "plain": None,
                "argmax": {"test": {"MODEL.TOPDOWN.DECODER": "argmax"}},
                "two-stages": {
                    "stages": [{"share": 0.5}, {"share": 0.5, "train": {"SOLVER.BASE_LR": 0.0005}}],
                    "choose": {"test": {"MODEL.TOPDOWN.FILTER_KERNEL": [0, 5]}},
                },
            },
        },
        "T2": {
            "figures": ["keypoint/AP"],
            "arms": {
                "iou": {"poses": "truth", "test": {"MODEL.POSEDET.NMS": "iou", "MODEL.POSEDET.NMS_THRESH": 0.0}},
                "oks": {"poses": "truth", "test": {"MODEL.POSEDET.NMS": "oks", "MODEL.POSEDET.NMS_THRESH": 1.0}},
            },
        },
    },
}  # fmt: skip


def write_table(folder: Path, **changes) -> Path:
    """The table, with other values at the top."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TABLE, **changes}, sort_keys=False))
    return path


def _kill_in_step(number: int) -> None:
    from fastpose_mtn.systems.topdown.network import TopDownNetwork as Network

    steps, before = [0], Network.losses

    def losses(self, batch):
        steps[0] += 1
        if steps[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(self, batch)

    Network.losses = losses


if __name__ == "__main__":
    _kill_in_step(int(os.environ["KILL_AT"]))
    experiments.main([sys.argv[2], "T1", "--seeds", "1", "--output", sys.argv[1]])
