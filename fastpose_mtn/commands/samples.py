"""``python -m fastpose_mtn.engine.samples --output FILE``: training images with their labels, as the network gets them.

They are the very first images of a run with the same configuration and seed, after every augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.data.loader import TrainingBatches
from fastpose_mtn.data.picture_files import check_picture_name, write_picture
from fastpose_mtn.data.sample import TrainingSample
from fastpose_mtn.engine.training_data import check_read, training_images
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.visualization.image_grid import image_grid
from fastpose_mtn.visualization.labels import draw_labels


def training_samples(cfg: CfgNode, count: int, seed: int) -> list[TrainingSample]:
    """The first samples of a run.

    Raises:
        ValueError: the configuration or the data cannot be used, or an image cannot be read.
    """
    if not cfg.DATASETS.TRAIN:
        raise InputError("DATASETS.TRAIN names no dataset to show")
    images = training_images(cfg, seed)
    batches = TrainingBatches(
        images.group_sizes,
        batch_size=1,
        seed=seed,
        run_length=cfg.DATALOADER.IMAGES_PER_SCENE,
        weights=tuple(cfg.DATASETS.TRAIN_WEIGHTS),
        dataset_of_group=images.dataset_of_group,
    )
    return [check_read(images[draw]) for draw in islice(chain.from_iterable(batches), count)]


def draw_sample(sample: TrainingSample, cfg: CfgNode) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a sample with its labels, its file's name, its size and its tasks."""
    height, width = sample.image.shape[1:]
    caption = f"{Path(sample.file_name).name} {width}x{height} {'+'.join(sorted(sample.tasks))}"
    image = sample.image.numpy().transpose(1, 2, 0)
    skeleton = SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE).training_skeleton(cfg)
    return draw_labels(image, sample.targets, skeleton, caption)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(prog="python -m fastpose_mtn.engine.samples", description=__doc__)
    parser.add_argument("--output", metavar="FILE", required=True, help="the picture to write, .jpg or .png")
    parser.add_argument("--config-file", metavar="YAML", default="", help="as for train_net.py")
    parser.add_argument("--samples", type=int, default=12, metavar="N", help="how many (default 12)")
    parser.add_argument("--columns", type=int, default=4, metavar="N", help="how many a row (default 4)")
    parser.add_argument("--width", type=int, default=480, metavar="PX", help="of one sample (default 480)")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="configuration overrides")
    with exit_on_error():
        options = parser.parse_args(arguments)
        path = check_picture_name("--output", options.output)
        if min(options.samples, options.columns, options.width) < 1:
            raise InputError("--samples, --columns and --width: expected numbers above 0")
        cfg = get_cfg()
        if options.config_file:
            cfg.merge_from_file(options.config_file)
        cfg.merge_from_list(options.opts)
        samples = training_samples(cfg, options.samples, max(cfg.SEED, 0))
        pictures = [draw_sample(sample, cfg) for sample in samples]
        height = max(round(options.width * p.shape[0] / p.shape[1]) for p in pictures)
        sheet = image_grid(pictures, options.columns, (options.width, min(height, options.width)))
        write_picture(path, sheet)
        people = sum(len(sample.targets) for sample in samples)
        print(f"{path}: {len(samples)} samples, {people} people")


if __name__ == "__main__":
    main()
