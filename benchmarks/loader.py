#!/usr/bin/env python
"""How many training images a second one core makes ready, side by side in one run.

    OMP_NUM_THREADS=1 python benchmarks/loader.py [--dataset NAME] [--images 60] [--rounds 3]

Ours: the image read, resized as Detectron2 resizes (shorter side 640 to 800, longer at most 1333) and mirrored;
and with everything: SIFP, rotation, occlusion, colour, blur. The reference sees the same files: Detectron2's default
DatasetMapper for keypoints where it is installed, otherwise torchvision's transforms of its detection reference
(random shortest side, mirror, float32). Rounds take turns and the fastest counts. Seconds are the
processor's, so that a busy machine does not tell. Per pixel delivered counts an image's pixels without padding
to others: sizes differ between the chains. Without --dataset, drawn images of 1280x720 are written as JPEG and read.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.data.synthetic import SceneConfig, write_dataset
from fastpose_mtn.data.transforms.augment import build_augmentations
from fastpose_mtn.skeletons import COCO17

Chain = Callable[[int, int], torch.Tensor]  # (image index, number of the draw) -> the image (C, H, W)

_SHORT_SIDES, _LONG_SIDE = (640, 672, 704, 736, 768, 800), 1333


def ours(dataset: PoseDataset, **changes: object) -> Chain:
    """Our loader's work on one image."""
    cfg: CfgNode = get_cfg()
    cfg.merge_from_list(["MODEL.SKELETON", "COCO17", *(item for pair in changes.items() for item in pair)])
    images = AugmentedImages([dataset], build_augmentations(cfg), seed=0, skeleton=COCO17)

    def make(index: int, draw: int) -> torch.Tensor:
        sample = images[index, draw]
        return sample.image  # type: ignore[union-attr]

    return make


def detectron2_mapper(dataset: PoseDataset) -> Chain:
    """Detectron2's default mapper, as its Keypoint R-CNN trains."""
    from detectron2.config import get_cfg as detectron2_cfg
    from detectron2.data import DatasetMapper, MetadataCatalog
    from detectron2.structures import BoxMode

    name = "fastpose_loader_benchmark"
    MetadataCatalog.get(name).set(
        keypoint_names=list(COCO17.joints),
        keypoint_flip_map=list(COCO17.flip_pairs),
        thing_classes=["person"],
    )
    cfg = detectron2_cfg()
    cfg.MODEL.KEYPOINT_ON, cfg.DATASETS.TRAIN = True, (name,)
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = _SHORT_SIDES, _LONG_SIDE
    mapper = DatasetMapper(cfg, is_train=True)
    records = []
    for index in range(len(dataset)):
        targets, (width, height) = dataset.targets(index), dataset.image_size_wh(index)
        joints = dataset.skeleton.convert(targets.keypoints, COCO17)
        people = [
            {"bbox": box.tolist(), "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0, "iscrowd": 0,
             "keypoints": keypoints.ravel().tolist()}
            for box, keypoints in zip(targets.boxes, joints, strict=True)
        ]  # fmt: skip
        records.append(
            {"file_name": str(dataset.image_file(index)), "height": height, "width": width, "image_id": index,
             "annotations": people}
        )  # fmt: skip
    return lambda index, draw: mapper(records[index])["image"]


def torchvision_reference(dataset: PoseDataset) -> Chain:
    """torchvision's detection reference: tensors that know what they are, transformed together."""
    from PIL import Image
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    chain = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomShortestSize(list(_SHORT_SIDES), max_size=_LONG_SIDE),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )

    def make(index: int, draw: int) -> torch.Tensor:
        path = dataset.image_file(index)
        assert path is not None
        image = Image.open(path).convert("RGB")
        boxes = tv_tensors.BoundingBoxes(  # type: ignore[call-overload]
            dataset.targets(index).boxes, format="XYXY", canvas_size=image.size[::-1]
        )
        return chain(image, {"boxes": boxes})[0]

    return make


def reference(dataset: PoseDataset) -> tuple[str, Chain]:
    try:
        return "Detectron2's DatasetMapper", detectron2_mapper(dataset)
    except ImportError:
        return "torchvision's reference (no Detectron2 here)", torchvision_reference(dataset)


def measure(chain: Chain, indices: Sequence[int], draw: int) -> tuple[float, float, float]:
    """Images and megapixels a second of processor time, and megapixels an image."""
    pixels, start = 0, time.process_time()
    for number, index in enumerate(indices):
        image = chain(index, draw + number)
        pixels += image.shape[-1] * image.shape[-2]
    seconds = time.process_time() - start
    return len(indices) / seconds, pixels / 1e6 / seconds, pixels / 1e6 / len(indices)


def drawn_dataset(folder: Path) -> str:
    write_dataset(folder, sequences=2, frames=8, seed=0, config=SceneConfig(size_wh=(1280, 720), people=6))
    return f"json://{folder}/annotations?images={folder}&format=posetrack"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", help="as in DATASETS.TRAIN; default: drawn images")
    parser.add_argument("--images", type=int, default=60, metavar="N", help="images a round (default 60)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each chain (default 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        name = options.dataset or drawn_dataset(Path(folder))
        dataset = build_dataset(name, training=True)
        if dataset.image_file(0) is None:
            parser.error(f"--dataset {name}: expected a dataset of files, not a drawn one")
        detectron2_sizes = {"INPUT.MIN_SIZE_TRAIN": _SHORT_SIDES, "INPUT.MAX_SIZE_TRAIN": _LONG_SIDE}
        everything = {
            "INPUT.SIFP.ENABLED": True, "INPUT.AUG.ROTATION": 30.0, "INPUT.AUG.OCCLUSION": 0.3,
            "INPUT.AUG.COLOR": 0.3, "INPUT.AUG.GRAY": 0.1, "INPUT.AUG.BLUR": 0.2,
        }  # fmt: skip
        reference_name, reference_chain = reference(dataset)
        chains = {
            reference_name: reference_chain,
            "ours, the same": ours(dataset, **detectron2_sizes),
            "ours, SIFP and everything": ours(dataset, **everything),
        }
        rng = np.random.default_rng(0)
        indices = rng.integers(0, len(dataset), options.images).tolist()
        best: dict[str, tuple[float, float, float]] = {}
        for round_ in range(options.rounds):
            for title, chain in chains.items():
                found = measure(chain, indices, round_ * options.images)
                best[title] = max(best.get(title, found), found)
        print(f"{'':44}{'images/s':>10}{'Mpixel/s':>10}{'Mpixel':>8}{'images':>9}{'pixels':>8}")
        base = best[reference_name]
        for title, (images, pixels, size) in best.items():
            print(
                f"{title:44}{images:10.1f}{pixels:10.1f}{size:8.2f}{images / base[0]:8.2f}x{pixels / base[1]:7.2f}x"
            )


if __name__ == "__main__":
    main()
