"""PoseDet and ultralytics' smallest pose network with as many people as are wanted; see people.py."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import Peer, crowd, posed, poses_in
from speed import CONFIGS
from torch import Tensor

from fastpose_mtn.skeletons import get_skeleton
from fastpose_mtn.structures import PersonDetections


class OneStage(Peer):
    """PoseDet in PyTorch, as ``track_video.py`` runs it.

    Args:
        identities: it describes people too.
        cells: that find each person.
        size_hw: of the frames.
    """

    def __init__(self, identities: bool, cells: int, size_hw: tuple[int, int]) -> None:
        super().__init__(size_hw, "cpu", True)
        from fastpose_mtn.build import build_estimator, build_network
        from fastpose_mtn.checkpoints.loading import load_weights
        from fastpose_mtn.config import get_cfg

        self.cfg = get_cfg()
        self.cfg.merge_from_file(str(CONFIGS / "posedet-s.yaml"))
        self.cfg.merge_from_list(["MODEL.REID_ON", str(identities), "INPUT.MIN_SIZE_TEST", "0"])
        torch.manual_seed(0)
        self.network: Any = build_network(self.cfg).eval()
        load_weights(self.network, "people", strict=False)
        self.skeleton, self.embedding_dim = get_skeleton(self.cfg.MODEL.SKELETON), self.network.embedding_dim
        self._cells = cells
        image = torch.zeros(3, *size_hw, dtype=torch.uint8)
        with torch.no_grad():
            self._grid = self.network.trunk(self.network.preprocess([image])[0]).grid
        self.set_people(0)
        self.estimator: Any = build_estimator(self.cfg, self.network, device="cpu", precision="auto")
        self._begin()

    def _begin(self) -> None:
        trunk = self.estimator._trunk

        def given(batch: Tensor) -> Any:
            found = trunk(batch)
            given = (self.logits, self.coarse, self.peaks)
            names = ("logits", "coarse", "peaks")
            return found._replace(
                **{n: v.expand_as(getattr(found, n)) for n, v in zip(names, given, strict=True)}
            )

        self.estimator._trunk = given

    def set_people(self, count: int) -> None:
        from fastpose_mtn.systems.posedet.targets import assign_seeds

        grid = self._grid
        self.boxes = boxes = torch.from_numpy(crowd(count, self.size_hw))
        size = boxes[:, 2:] - boxes[:, :2]
        person = assign_seeds(grid, boxes[:, :2] + size / 2, size, self._cells)
        poses = poses_in(boxes, len(self.skeleton))
        self.logits, self.coarse = (
            torch.full((1, len(person)), -9.0),
            torch.zeros(1, len(person), len(self.skeleton), 2),
        )
        cell = torch.nonzero(person >= 0)[:, 0]
        # the cell nearest to a person scores best
        away = (grid.xy[cell] - (boxes[:, :2] + size / 2)[person[cell]]).norm(dim=1) / grid.strides[cell]
        self.logits[0, cell] = 2.0 - 0.3 * away
        self.peaks = self._peaks()
        index = (poses[person[cell]] - 0.5) / grid.strides[cell, None, None]
        self.coarse[0, cell] = index.flip(-1) - grid.yx[cell][:, None]

    def _peaks(self) -> Tensor:
        """(1, P) bool, see ``head.Candidates``."""
        grid, found = self._grid, []
        for first in grid.first.unique().tolist():
            height, width = grid.sizes_hw[first].tolist()
            level = self.logits[:, first : first + height * width].reshape(1, height, width)
            found.append((level >= torch.nn.functional.max_pool2d(level, 3, 1, 1)).flatten(1))
        return torch.cat(found, dim=1)

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        # a correction that is not trained says nothing about people
        return [self._given(found) for found in self.estimator.estimate(frames)]

    def _given(self, found: PersonDetections) -> PersonDetections:
        """As many people, where they were said to be: refinement that is not trained has them tremble with the pixels."""
        given = posed(self.boxes[: len(found)], len(self.skeleton))
        return replace(given, embeddings=found.embeddings)


class OneStageExported(OneStage):
    """The same in OpenVINO, in the precision that it picks; scores and poses of people are inputs of the network."""

    def __init__(self, identities: bool, cells: int, folder: Path, size_hw: tuple[int, int]) -> None:
        self._path = folder / f"posedet-{identities}.xml"
        super().__init__(identities, cells, size_hw)

    def _begin(self) -> None:
        from fastpose_mtn.deploy.formats import metadata_of, save_openvino
        from fastpose_mtn.estimators.exported import ExportedEstimator, ExportedNetwork
        from fastpose_mtn.estimators.runtimes import Feed, open_runtime
        from fastpose_mtn.systems.posedet.portable import PortablePoseDet
        from fastpose_mtn.systems.posedet.selection import Suppression, joint_constants

        if not self._path.exists():
            save_openvino(self._path, self._converted(), metadata_of(self.cfg), PortablePoseDet.coarse_layers)
        runtime = open_runtime(self._path, "cpu")

        def run(feeds: Sequence[Feed]) -> Iterable[Sequence[np.ndarray]]:
            people = {name: getattr(self, name).numpy() for name in ("logits", "coarse", "peaks")}
            return runtime.run([{**feed, **people} for feed in feeds])

        opened = ExportedNetwork(self._path, runtime._replace(run=run), self.cfg)
        suppress = Suppression.from_config(self.cfg, joint_constants(self.cfg))
        self.estimator = ExportedEstimator.of(opened, device="cpu", select=suppress)
        self.batches_at_once = self.estimator.batches_at_once

    def _converted(self) -> Any:
        import openvino

        from fastpose_mtn.systems.posedet.portable import PortablePoseDet

        class GivenPeople(PortablePoseDet):
            def forward(
                self, image: Tensor, logits: Tensor, coarse: Tensor, peaks: Tensor
            ) -> tuple[Tensor, ...]:  # type: ignore[override]
                trunk = type(self.network).trunk

                def given(batch: Tensor) -> Any:
                    found = trunk(self.network, batch)
                    # what was found still counts, or the graph would drop the work of finding it
                    return found._replace(
                        logits=found.logits * 1e-20 + logits,
                        coarse=found.coarse * 1e-20 + coarse,
                        peaks=peaks,
                    )

                self.network.trunk = given  # type: ignore[method-assign]
                return super().forward(image)

        network, path = GivenPeople(self.network), self._path.with_suffix(".onnx")
        image = torch.zeros(*self.size_hw, 3, dtype=torch.uint8)
        with torch.no_grad():
            torch.onnx.export(
                network, (image, self.logits, self.coarse, self.peaks), str(path), dynamo=False, opset_version=18,
                input_names=["image", "logits", "coarse", "peaks"], output_names=list(network.outputs),
                dynamic_axes={"image": {0: "height", 1: "width"}},
            )  # fmt: skip
        converted = openvino.convert_model(str(path))
        path.unlink()
        return converted


class SmallestUltralytics(Peer):
    """yolo11n-pose, built from its description, in PyTorch or, with a folder to keep it in, exported to OpenVINO."""

    def __init__(self, folder: Path | None, size_hw: tuple[int, int]) -> None:
        os.environ["YOLO_AUTOINSTALL"] = "false"
        super().__init__(size_hw, "cpu", folder is not None)
        from ultralytics import YOLO

        size = [-(-side // 32) * 32 for side in size_hw]
        self.model = YOLO("yolo11n-pose.yaml", task="pose")
        if folder is not None:
            weights, here = folder / "yolo11n-pose.pt", Path.cwd()
            if not (folder / "yolo11n-pose_openvino_model").exists():
                self.model.save(str(weights))
                with contextlib.chdir(folder):
                    YOLO(str(weights)).export(format="openvino", imgsz=size, verbose=False)
            assert Path.cwd() == here
            self.model = YOLO(str(folder / "yolo11n-pose_openvino_model"), task="pose")
        self.options: dict[str, Any] = {"imgsz": size, "device": "cpu", "verbose": False}

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        self.model.predict([frame[..., ::-1] for frame in frames], **self.options)
        return [posed(self.boxes, len(self.skeleton)) for _ in frames]
