"""Checkpoints under Detectron2: every weights file that the default host reads, and an account of what fitted."""

from __future__ import annotations

import logging
from typing import Any

from detectron2.checkpoint import DetectionCheckpointer
from torch import Tensor, nn

from fastpose_mtn.checkpoints.conversion import convert, to_detectron2
from fastpose_mtn.checkpoints.load_report import LoadReport
from fastpose_mtn.checkpoints.loading import PACKAGED, fill_weights, read_source
from fastpose_mtn.errors import InputError
from fastpose_mtn.modeling.backbone import TimmDC5, TimmFPN

_LOG = logging.getLogger("fastpose_mtn")


class FastPoseCheckpointer(DetectionCheckpointer):
    """Detectron2's checkpointer that also reads safetensors, ``people``, ``drawn`` and ``torchvision://NAME``.

    Names are translated to the model's own backbone, timm's or Detectron2's ResNet. A ``.pkl`` can only hold
    arrays: nothing in it is run.

    Args:
        strict: refuse weights of another architecture. Otherwise what fits is loaded, to train from.
        quiet: do not say what was loaded.
        See Detectron2's ``DetectionCheckpointer`` for the others.

    Attributes:
        report: what became of each name in the last load; None before it, and for Caffe2's files, whose
            account Detectron2 prints.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        strict: bool = False,
        quiet: bool = False,
        **checkpointables: object,
    ) -> None:
        super().__init__(model, save_dir, **checkpointables)
        self.strict, self._quiet = strict, quiet
        self.report: LoadReport | None = None

    def load(self, path: str, *args: object, **kwargs: object) -> dict[str, Any]:
        """Loads weights, or a checkpoint with optimizer and step, and gives what else is in the file.

        Raises:
            ValueError: the file is missing or cannot be read safely, or its weights do not fit.
        """
        self._source = path
        if path and (path in PACKAGED or path.startswith("torchvision://")):
            self._load_model({"model": read_source(path).tensors})
            return {}
        try:
            return super().load(path, *args, **kwargs)
        except AssertionError as error:
            raise InputError(f"{path}: {error}") from error

    def _load_file(self, filename: str) -> dict[str, Any]:
        if not filename.endswith((".pkl", ".safetensors")):
            return super()._load_file(filename)
        tensors = read_source(filename).tensors
        zoo = any(name.startswith("backbone.") for name in tensors)
        # a classifier's, Caffe2's names
        if filename.endswith(".pkl") and not zoo and not _is_timm(self.model):
            return {"model": tensors, "__author__": "Caffe2", "matching_heuristics": True}
        return {"model": tensors}

    def _load_model(self, checkpoint: dict[str, Any]) -> object:
        if checkpoint.get("matching_heuristics"):
            return super()._load_model(checkpoint)
        model: Any = self.model
        self.report = load_tensors(model, checkpoint.pop("model"), self._source, strict=self.strict)
        if not self._quiet:
            _LOG.info("weights from %s:\n  %s", self._source, self.report.account().replace("\n", "\n  "))
        return None


def load_tensors(
    model: nn.Module, tensors: dict[str, Tensor], source: str, *, strict: bool = False
) -> LoadReport:
    """Fills a model of Detectron2's with weights under anybody's names.

    Raises:
        ValueError: ``strict`` and they are of another architecture, or none of them fit.
    """
    names = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    names = convert(names)
    if not _is_timm(model):
        names = to_detectron2(names)
    report = fill_weights(model, names)
    report.check(source, strict=strict)
    return report


def _is_timm(model: nn.Module) -> bool:
    return isinstance(getattr(model, "backbone", None), (TimmFPN, TimmDC5))
