"""Watches how a training begins: until coarse poses are near people's, classification has nobody to learn from."""

from __future__ import annotations

import logging

from torch import Tensor

from fastpose_mtn.errors import InputError

_LOG = logging.getLogger("fastpose_mtn")
_PERIOD = 100  # steps between two looks: a GPU is waited for in each


class ColdStart:
    """Counts what the cells of a training learn, says it in the log, and ends a training that does not begin.

    Args:
        limit: steps in a row, with people who have poses, without a positive example of classification; 0: any number.
    """

    def __init__(self, limit: int = 300) -> None:
        self._limit = limit
        self._period = min(limit, _PERIOD) if limit > 0 else _PERIOD
        self._steps, self._cold = 0, 0
        self._sums: Tensor | None = None

    def count(self, *, coarse: int, refined: int, positives: Tensor) -> None:
        """Counts a step.

        Args:
            coarse: cells that learn a coarse pose.
            refined: cells that learn a refinement.
            positives: scalar, positive examples of classification.

        Raises:
            InputError: the limit is reached.
        """
        own = positives.new_tensor([coarse, refined, 0, coarse > 0])
        own[2] = positives
        self._sums = own if self._sums is None else self._sums + own
        self._steps += 1
        if self._steps % self._period:
            return
        people, poses, examples, with_people = self._sums.tolist()
        self._sums = None
        _LOG.info(
            "cells a step that learn: coarse poses %.1f, refinement %.1f, a positive score %.1f",
            people / self._period, poses / self._period, examples / self._period,
        )  # fmt: skip
        self._cold = 0 if examples else self._cold + with_people
        if 0 < self._limit <= self._cold:
            raise InputError(
                f"MODEL.POSEDET: in {self._cold} steps with people no candidate was a positive example of classification, "
                f"as no coarse pose is near a person's. Set MODEL.POSEDET.CLS_SEEDS True, or raise "
                f"MODEL.POSEDET.POS_NUM or SOLVER.BASE_LR; check the joints with python -m fastpose_mtn.engine.samples. "
                f"MODEL.POSEDET.COLD_STEPS 0 goes on all the same"
            )
