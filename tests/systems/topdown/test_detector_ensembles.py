"""Several detectors as one: scales, merged boxes, identity vectors, files among them."""

import json

import numpy as np
import pytest
import torch
from tiny_topdown import FixedDetector, people, topdown_config
from torchvision.ops import nms

from fastpose_mtn.estimators.box_files import BoxesFromFile
from fastpose_mtn.protocols import FrameName, PersonDescriber
from fastpose_mtn.systems.topdown.detectors import DetectorEnsemble, build_detector

FRAME = np.zeros((120, 160, 3), np.uint8)
A, B, C = [10, 10, 40, 90], [11, 10, 41, 90], [80, 10, 120, 100]


def ensemble(*detectors, scales=None, threshold=0.6):
    return DetectorEnsemble(detectors, scales=scales or [1.0] * len(detectors), threshold=threshold)


def test_boxes_are_merged_and_the_best_stays():
    one, other = (
        FixedDetector(people(A, C, scores=[0.5, 0.6])),
        FixedDetector(people(B, scores=[0.8])),
    )
    (found,) = ensemble(one, other).estimate([FRAME], 0.2)
    assert (found.boxes.tolist(), found.scores.tolist()) == ([B, C], pytest.approx([0.8, 0.6]))
    assert found.keypoints.shape == (2, 0, 3)
    assert one.min_scores == other.min_scores == [0.2]
    (scaled,) = ensemble(one, other, scales=[1.0, 0.5]).estimate([FRAME], 0.2)
    assert (scaled.boxes.tolist(), scaled.scores.tolist()) == ([C, A], pytest.approx([0.6, 0.5]))
    assert other.min_scores[-1] == pytest.approx(0.4)  # half of it is what is asked for
    (most,) = ensemble(one, other, scales=[2.0, 2.0]).estimate([FRAME])
    assert most.scores.tolist() == [1.0, 1.0]


def test_they_are_torchvisions_nms_of_all_boxes():
    rng, found = np.random.default_rng(0), []
    for count in (30, 0, 50):
        corners = rng.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(20, 60, (count, 2))], axis=1)
        found.append(people(*boxes, scores=rng.random(count)))
    boxes, scores = (np.concatenate([getattr(own, name) for own in found]) for name in ("boxes", "scores"))
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.6).numpy()
    assert 1 < len(kept) < 80
    (merged,) = ensemble(*map(FixedDetector, found)).estimate([FRAME])
    assert merged.boxes.tolist() == boxes[kept].tolist()
    assert merged.scores.tolist() == scores[kept].tolist()


def test_nobody_and_no_frames():
    nobody = ensemble(FixedDetector(people()), FixedDetector(people()))
    assert [len(found) for found in nobody.estimate([FRAME, FRAME])] == [0, 0]
    assert nobody.estimate([]) == []


def test_vectors_are_the_first_describers_of_all_boxes():
    blind = FixedDetector(people(C, scores=[0.9]))
    sees = FixedDetector(people(A, scores=[0.8], embeddings=np.float32([[0, 1]])), embedding_dim=2)
    both = ensemble(blind, sees)
    assert isinstance(both, PersonDescriber)
    assert both.embedding_dim == 2
    (found,) = both.estimate([FRAME])
    assert found.embeddings.tolist() == [[1, 0], [1, 0]]
    alone = ensemble(blind, blind)
    assert alone.embedding_dim is None
    assert alone.estimate([FRAME])[0].embeddings is None
    with pytest.raises(ValueError, match="none of the detectors has an identity head"):
        alone.describe(FRAME, np.zeros((1, 4)))


def test_a_file_of_boxes_is_one_of_them(tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps([{"image_id": "b.jpg", "bbox": [80, 10, 40, 90], "score": 0.7}]))
    both = ensemble(FixedDetector(people(A, scores=[0.8])), BoxesFromFile(path))
    names = [FrameName(0, 1, "a.jpg"), FrameName(1, 2, "b.jpg")]
    first, second = both.estimate_named([FRAME, FRAME], names)
    assert first.boxes.tolist() == [A]
    assert second.boxes.tolist() == [A, C]


def test_what_is_neither_weights_nor_boxes(tmp_path):
    for name in ("b.JSON", "b.csv"):
        (tmp_path / name).write_text(json.dumps([{"image_id": 0, "bbox": [1, 2, 10, 20]}]))
    cfg = topdown_config("MODEL.TOPDOWN.DETECTOR.WEIGHTS", str(tmp_path / "b.JSON"))
    assert isinstance(build_detector(cfg, device="cpu", precision="fp32"), BoxesFromFile)
    cfg = topdown_config("MODEL.TOPDOWN.DETECTOR.WEIGHTS", str(tmp_path / "b.csv"))
    with pytest.raises(
        ValueError,
        match=r"WEIGHTS: .*b\.csv: not a weights file; .*; files of boxes are called \.json, \.txt",
    ):
        build_detector(cfg, device="cpu", precision="fp32")


def test_the_configuration_names_them(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("[]")
    files = [str(tmp_path / f"{name}.json") for name in ("a", "b")]
    alone = ["MODEL.TOPDOWN.DETECTOR.WEIGHTS", files[0]]
    others = ["MODEL.TOPDOWN.DETECTOR.OTHERS", f"['{files[1]}']"]

    def build(*options):
        return build_detector(topdown_config(*options), device="cpu", precision="fp32")

    assert build() is None
    assert isinstance(build(*alone), BoxesFromFile)
    assert isinstance(build(*alone, *others), DetectorEnsemble)
    for options, text in (
        (others, r"DETECTOR\.OTHERS \[.*\]: name the first detector in MODEL\.TOPDOWN\.DETECTOR\.WEIGHTS"),
        ([*alone, *others, "MODEL.TOPDOWN.DETECTOR.SCORE_SCALES", "[1]"], "SCORE_SCALES: expected a number above 0 for each of 2"),
        ([*alone, *others, "MODEL.TOPDOWN.DETECTOR.NMS", "0"], r"DETECTOR\.NMS: expected an overlap above 0, at most 1, got 0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            build(*options)


def test_who_has_identities_of_its_own_asks_the_detector_for_none():
    cfg = topdown_config("MODEL.TOPDOWN.DETECTOR.WEIGHTS", "people")
    plain = build_detector(cfg, device="cpu", precision="fp32", describes=False)
    assert plain.embedding_dim is None
    (found,) = plain.estimate([FRAME])
    assert found.embeddings is None
