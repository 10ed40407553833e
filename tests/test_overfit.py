"""The whole path for one's own images: COCO-style JSON, two lines of configuration, training, evaluation."""

import json
from pathlib import Path

from fastpose_mtn.commands.train import main
from fastpose_mtn.data.synthetic import SceneConfig, write_dataset

CONFIG = Path(__file__).parents[1] / "configs" / "overfit_coco.yaml"


def test_a_drawn_image_is_learned_by_heart(tmp_path):
    write_dataset(tmp_path, 1, 1, seed=3, config=SceneConfig(size_wh=(256, 144), people=2, occlusion=0.0))
    data = f"['json://{tmp_path}/annotations?images={tmp_path}&format=posetrack']"
    run = tmp_path / "run"
    main(
        [
            "--engine", "lightning", "--config-file", str(CONFIG), "OUTPUT_DIR", str(run), "MODEL.DEVICE", "cpu",
            "DATASETS.TRAIN", data, "DATASETS.TEST", data, "INPUT.MIN_SIZE_TRAIN", "(144,)",
            "INPUT.MIN_SIZE_TEST", "144", "SOLVER.IMS_PER_BATCH", "1", "SOLVER.MAX_ITER", "50",
        ]
    )  # fmt: skip
    (metrics,) = json.loads((run / "evaluation.json").read_text()).values()
    assert metrics["keypoint/AP"] > 0.8
    assert metrics["box/AP"] > 0.8
