"""The weights that have done best so far."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping

from fastpose_mtn.engine.checkpoints import TrainingFolder
from fastpose_mtn.engine.evaluation import is_count
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.files import write_text

_LOG = logging.getLogger("fastpose_mtn")
BEST_WEIGHTS = "model_best.safetensors"


class BestWeights:
    """Keeps ``model_best.safetensors``, and in ``best.json`` its step and value: a resumed run goes on from it.

    Lightning's ``ModelCheckpoint`` does not serve: what is best it remembers in its checkpoints, so a run that is resumed
    from one forgets the evaluations after it and lets worse weights take the place of better ones; it writes checkpoints,
    not weights to use; and it knows one number of its own log, not several datasets' mean without those not measured.

    Args:
        metric: as in ``evaluation.json``, for example ``keypoint/AP``; of several datasets the mean. Of what
            counts mistakes, ``posetrack/num_switches`` say, the least is best.
    """

    def __init__(self, folder: TrainingFolder, metric: str) -> None:
        self._folder, self._metric, self._record = folder, metric, folder.path / "best.json"

    def offer(self, module: TrainingModule, step: int, metrics: Mapping[str, float]) -> bool:
        """Writes the (averaged) weights if they are better than all before; whether it did.

        Args:
            module: the ``TrainingModule`` that has the weights.
            step: after which they were evaluated.
            metrics: by ``DATASET/METRIC``.
        """
        found = [value for name, value in metrics.items() if name.endswith(f"/{self._metric}")]
        values = [value for value in found if not math.isnan(value)]
        if not values:
            names = ", ".join(sorted({"/".join(name.rsplit("/", 2)[-2:]) for name in metrics}))
            _LOG.warning("TEST.BEST_METRIC %s: nothing measured; there are %s", self._metric, names)
            return False
        value = sum(values) / len(values)
        if self._record.is_file():
            best = json.loads(self._record.read_text())
            as_good = best["value"] <= value if is_count(self._metric) else best["value"] >= value
            if best["metric"] == self._metric and as_good and best["step"] != step:
                return False
        self._folder.export(module, BEST_WEIGHTS)
        record = {"metric": self._metric, "value": value, "step": step}
        write_text(self._record, json.dumps(record) + "\n")
        _LOG.info("best so far: %s %.4f after step %d", self._metric, value, step)
        return True
