"""``python -m fastpose_mtn.evaluation.synthetic``: measures a network on synthetic videos.

They are drawn as it goes. See ``evaluation.drawn_metrics`` for what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticFrame, SyntheticScene
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.evaluation.drawn_metrics import SyntheticEvaluator
from fastpose_mtn.files import write_text
from fastpose_mtn.protocols import PoseEstimator
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections

_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)  # a sequence's images are not kept in memory


def evaluate_synthetic(
    estimator: PoseEstimator,
    *,
    seeds: Sequence[int],
    config: SceneConfig,
    batch_size: int = 8,
    progress: bool = False,
) -> dict[str, float]:
    """Draws the scenes, finds their people and measures.

    Args:
        estimator: its skeleton has the joints of POSETRACK15, the scenes' own, whatever else it has.
        seeds: of the scenes, one sequence each.
        config: the scenes' size, length, number of people and so on.
        batch_size: frames that the network sees at once.
        progress: show a progress bar.

    Raises:
        InputError: the estimator's skeleton lacks one.
    """
    skeleton = estimator.skeleton
    lacking = [joint for joint in POSETRACK15.joints if not skeleton.has(joint)]
    if lacking:
        raise InputError(
            f"synthetic videos are labelled with POSETRACK15, but the network's skeleton, {skeleton.name}, has no "
            f"{' and no '.join(lacking)}"
        )
    evaluator = SyntheticEvaluator()
    for number, seed in enumerate(tqdm(seeds, unit="sequence", disable=None if progress else True)):
        scene = SyntheticScene(seed, config)
        truths: list[SyntheticFrame] = []
        detections: list[PersonDetections] = []
        for first in range(0, config.frame_count, batch_size):
            frames = [scene.frame(i) for i in range(first, min(first + batch_size, config.frame_count))]
            detections += [
                replace(found, keypoints=skeleton.convert(found.keypoints, POSETRACK15))
                for found in estimator.estimate([frame.image for frame in frames])
            ]
            truths += [replace(frame, image=_NO_IMAGE) for frame in frames]
        evaluator.add_sequence(number, config, truths, detections)
    return evaluator.evaluate()


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m fastpose_mtn.evaluation.synthetic``."""
    parser = ArgumentParser(
        prog="python -m fastpose_mtn.evaluation.synthetic",
        description="Measures a network on synthetic videos that are drawn as it goes.",
    )
    parser.add_argument("--weights", default="drawn", metavar="FILE|NAME", help="default: drawn")
    parser.add_argument("--config-file", metavar="YAML", help="default: the one that the weights carry")
    parser.add_argument("--sequences", type=int, default=20, metavar="N")
    parser.add_argument("--frames", type=int, default=60, metavar="F", help="a sequence")
    parser.add_argument("--seed", type=int, default=800_000, metavar="S", help="of the first sequence")
    parser.add_argument("--people", type=int, default=6, metavar="N", help="a sequence")
    parser.add_argument("--occlusion", type=float, default=0.3, metavar="P", help="0 to 1")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument("--output", metavar="FILE", help="write all numbers as JSON")
    with exit_on_error():
        options = parser.parse_args(arguments)
        if min(options.sequences, options.batch_size) < 1:
            raise InputError("--sequences and --batch-size: expected 1 or more")
        config = SceneConfig(frame_count=options.frames, people=options.people, occlusion=options.occlusion)
        from fastpose_mtn.build import build_estimator
        from fastpose_mtn.checkpoints.loading import inference_config

        estimator = build_estimator(
            inference_config(options.weights, options.config_file),
            device=options.device,
            precision=options.precision,
        )
        metrics = evaluate_synthetic(
            estimator,
            seeds=range(options.seed, options.seed + options.sequences),
            config=config,
            batch_size=options.batch_size,
            progress=True,
        )
        print(metrics_text(metrics))
        if options.output:
            plain = {name: None if np.isnan(value) else value for name, value in metrics.items()}
            write_text(Path(options.output), json.dumps(plain, indent=2) + "\n")


def metrics_text(metrics: Mapping[str, float]) -> str:
    """One line a number; COCO's by size are left to the JSON file."""
    shown = [n for n in metrics if n.split("/")[1] in ("AP", "AP50", "AP75", "AR") or n[0] in "rj"]
    width = max(map(len, shown))
    return "\n".join(f"{name:<{width}}  {_short(metrics[name])}" for name in shown)


def _short(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f}" if value > 1 else f"{value:.3f}"


if __name__ == "__main__":
    main()
