"""Training images with their labels in TensorBoard."""

from __future__ import annotations

from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import Batch
from fastpose_mtn.visualization.image_grid import image_grid
from fastpose_mtn.visualization.labels import draw_labels

_SHOWN, _COLUMNS, _WIDTH = 4, 2, 480  # images of a step, beside each other, pixels of each


class SamplePictures(lightning.Callback):
    """Every ``period`` steps, and after the first, a few images of the step as the network saw them."""

    def __init__(self, period: int, skeleton: Skeleton) -> None:
        self._period, self._skeleton, self._shown = period, skeleton, False

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: object, batch: Batch, *args: object
    ) -> None:
        """Writes a sheet of the step's images with their labels to TensorBoard, where one is due."""
        step = trainer.global_step
        if not trainer.is_global_zero or (self._shown and step % self._period):
            return
        self._shown = True
        shown = list(zip(batch.images, batch.targets, batch.tasks, strict=True))[:_SHOWN]
        drawn = [
            draw_labels(
                image.cpu().numpy().transpose(1, 2, 0), people, self._skeleton, "+".join(sorted(tasks))
            )
            for image, people, tasks in shown
        ]
        height = max(round(_WIDTH * picture.shape[0] / picture.shape[1]) for picture in drawn)
        sheet = image_grid(drawn, _COLUMNS, (_WIDTH, min(height, _WIDTH)))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("training images", sheet, step, dataformats="HWC")
