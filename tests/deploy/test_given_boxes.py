"""Exported networks that take boxes of people: what PyTorch's estimator says of the same people."""

import numpy as np
import pytest
from networks_to_export import ENDINGS, image, needs, network

from fastpose_mtn.checkpoints.loading import save_weights
from fastpose_mtn.commands.export import main
from fastpose_mtn.deploy.formats import write
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.exported import ExportedEstimator
from fastpose_mtn.systems.mtn.estimator import MTNEstimator

FRAME = image(97, 131)
# partly outside the frame, and without area
BOXES = np.array([[10.0, 5, 60, 90], [70, -3, 140, 60], [5, 5, 5, 5]])
SCORES = np.array([0.5, 0.9, 1.0])


@pytest.mark.parametrize("score_thresh", [0.05, 0.999999])  # beside people who are found, and where nobody is
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_given_people_are_located_as_in_pytorch(form, score_thresh, tmp_path):
    needs(form)
    model, cfg = network(score_thresh)
    path = tmp_path / f"given{ENDINGS[form]}"
    write(form, path, model, cfg, given_boxes=True)
    estimator = ExportedEstimator(path, device="cpu", precision="fp32")
    reference = MTNEstimator.from_config(cfg, model, device="cpu", precision="fp32")
    expected = reference.estimate_given(FRAME, BOXES, SCORES)
    located = estimator.estimate_given(FRAME, BOXES, SCORES)
    np.testing.assert_array_equal(located.boxes, BOXES)
    np.testing.assert_allclose(located.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(located.keypoints, expected.keypoints, atol=0.05)
    np.testing.assert_allclose(estimator.describe(FRAME, BOXES), expected.embeddings, atol=1e-3)
    assert estimator.describe(FRAME, BOXES[:0]).shape == (0, 16)
    # who is given to one call is not in the next
    found, people = estimator.estimate([FRAME])[0], reference.estimate([FRAME])[0]
    assert len(found) == len(people)
    assert bool(len(found)) == (score_thresh < 0.5)
    np.testing.assert_allclose(found.boxes, people.boxes, atol=0.05)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_a_network_without_such_an_input_says_how_to_get_one(form, tmp_path):
    needs(form)
    model, cfg = network()
    save_weights(tmp_path / "w.safetensors", model, cfg)
    path = tmp_path / f"w{ENDINGS[form]}"
    arguments = ["--format", form, "--weights", str(tmp_path / "w.safetensors"), "--output", str(path)]
    main(arguments)
    with pytest.raises(
        InputError, match=r"w\..* takes no boxes of people; .*fastpose_mtn\.export --given-boxes"
    ):
        ExportedEstimator(path, device="cpu").describe(FRAME, BOXES)
    main([*arguments, "--given-boxes"])
    assert ExportedEstimator(path, device="cpu").describe(FRAME, BOXES).shape == (3, 16)
