"""The search for the parameters of the parametric pose NMS."""

import numpy as np
import pytest
from crowded_poses import crowded_image

from fastpose_mtn.evaluation.pose_nms_search import keypoint_ap, search_parameters
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.ops.pose_similarity import PoseParameters
from fastpose_mtn.skeletons import COCO17


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.default_rng(0)
    return [crowded_image(rng) for _ in range(50)]


@pytest.mark.parametrize("start", [PoseParameters(), PoseParameters(sigma2=0.1, threshold=0.5)])
def test_a_planted_optimum_is_found(crowd, start):
    """Doubles are 9 pixels off and neighbours 25: too far for the first parameters, and all one person for the second."""
    planted = PoseParameters(sigma2=0.03, threshold=1.0)
    best = keypoint_ap(crowd, COCO17, PoseNMS(COCO17, kind="parametric", parameters=planted, merge=False))
    assert best == 1.0
    first, *_, last = search_parameters(crowd, COCO17, start, merge=False)
    assert first.parameters == start
    assert first.ap < 0.9
    assert last.ap == pytest.approx(best, abs=1e-6)
    found = PoseNMS(COCO17, kind="parametric", parameters=last.parameters, merge=False)
    assert [len(found(image.found)) for image in crowd] == [5] * 50


def test_ap_never_falls(crowd):
    rng = np.random.default_rng(1)
    muddled = [crowded_image(rng, apart=a, off=o) for a, o in rng.uniform([5, 2], [20, 25], (8, 2))]
    for merge in (True, False):
        steps = list(search_parameters(muddled, COCO17, merge=merge, rounds=3))
        values = [step.ap for step in steps]
        assert values == sorted(values)
        assert values[-1] > values[0]
        nms = PoseNMS(COCO17, kind="parametric", parameters=steps[-1].parameters, merge=merge)
        assert keypoint_ap(muddled, COCO17, nms) == values[-1]


def test_it_ends_where_nothing_is_gained(crowd):
    """After two rounds, each of two pairs."""
    best = PoseParameters(sigma2=0.03, threshold=1.0)
    steps = list(search_parameters(crowd[:3], COCO17, best, merge=False))
    assert len(steps) == 5
    assert {step.parameters for step in steps} == {best}


def test_without_labels_there_is_nothing_to_search_for():
    nobody = crowded_image(np.random.default_rng(0), people=0)
    with pytest.raises(
        ValueError, match="pose NMS: nobody is labelled with joints that the people found have"
    ):
        list(search_parameters([nobody], COCO17))
