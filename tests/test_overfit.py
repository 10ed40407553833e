"""The whole path for one's own images: COCO-style JSON, two lines of configuration, training, evaluation."""

import json
from pathlib import Path

from fastpose_mtn.commands.train import main
from fastpose_mtn.data.synthetic import SceneConfig, write_dataset

CONFIGS = Path(__file__).parents[1] / "configs"


def test_a_drawn_image_is_learned_by_heart(tmp_path):
    write_dataset(tmp_path, 1, 1, seed=3, config=SceneConfig(size_wh=(256, 144), people=2, occlusion=0.0))
    data = f"['json://{tmp_path}/annotations?images={tmp_path}&format=posetrack']"
    run = tmp_path / "run"
    main(
        [
            "--engine", "lightning", "--config-file", str(CONFIGS / "overfit_coco.yaml"), "OUTPUT_DIR", str(run), "MODEL.DEVICE", "cpu",
            "DATASETS.TRAIN", data, "DATASETS.TEST", data, "INPUT.MIN_SIZE_TRAIN", "(144,)",
            "INPUT.MIN_SIZE_TEST", "144", "SOLVER.IMS_PER_BATCH", "1", "SOLVER.MAX_ITER", "50",
        ]
    )  # fmt: skip
    (metrics,) = json.loads((run / "evaluation.json").read_text()).values()
    assert metrics["keypoint/AP"] > 0.8
    assert metrics["box/AP"] > 0.8


def test_the_people_of_a_drawn_image_are_learned_by_heart(tmp_path):
    """A top-down network, in their own boxes."""
    data = "['synthetic://heart?seeds=3&frames=1&size=256x144&people=2&occlusion=0&tasks=boxes+keypoints']"
    main(
        [
            "--engine", "lightning", "--config-file", str(CONFIGS / "overfit_topdown.yaml"), "OUTPUT_DIR", str(tmp_path),
            "MODEL.DEVICE", "cpu", "DATASETS.TRAIN", data, "DATASETS.TEST", data, "MODEL.TOPDOWN.INPUT_SIZE", "[128, 96]",
            "SOLVER.IMS_PER_BATCH", "4", "SOLVER.MAX_ITER", "40",
        ]
    )  # fmt: skip
    (metrics,) = json.loads((tmp_path / "evaluation.json").read_text()).values()
    assert metrics["keypoint/AP"] > 0.8
