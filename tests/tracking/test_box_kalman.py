"""The motion model of boxes: values worked out before."""

import numpy as np
import pytest

from fastpose_mtn.tracking.box_kalman import initiate, mahalanobis, predict, to_xyah, to_xyxy, update


def test_a_person_who_is_seen_twice():
    means, covariances = initiate(np.array([[100, 200, 0.5, 100.0]]))
    diagonal = [100, 100, 1e-4, 100, 39.0625, 39.0625, 1e-10, 39.0625]
    assert covariances[0].diagonal() == pytest.approx(diagonal)
    means, covariances = predict(means, covariances, 1)
    diagonal = [164.0625, 164.0625, 2e-4, 164.0625, 39.453125, 39.453125, 2e-10, 39.453125]
    assert covariances[0].diagonal() == pytest.approx(diagonal, rel=1e-5)
    places = np.array([[110, 205, 0.5, 102.0], [150, 200, 0.5, 100.0]])
    assert mahalanobis(means, covariances, places)[0] == pytest.approx([0.68231405, 13.2231405])
    means, covariances = update(means, covariances, np.array([[110, 205, 0.55, 104.0]]))
    expected = [108.677686, 204.338843, 0.50098, 103.471074, 2.066116, 1.033058, 0, 0.826446]
    assert means[0] == pytest.approx(expected, abs=1e-5)
    variances = [21.694215, 21.694215, 1.96e-4, 21.694215, 31.382361, 31.382361, 0, 31.382361]
    assert covariances[0].diagonal() == pytest.approx(variances, abs=1e-5)


def test_one_long_step_leads_where_two_short_ones_do():
    means, covariances = initiate(np.array([[100, 200, 0.5, 100.0]]))
    means[0, 4:6] = 3, -2
    once, _ = predict(means, covariances, 2.0)
    twice, _ = predict(*predict(means, covariances, 1.0), 1.0)
    assert once == pytest.approx(twice)
    assert once[0, :2].tolist() == [106, 196]


def test_boxes_there_and_back_and_none():
    boxes = np.array([[10, 20, 40, 80], [5, 5, 5, 5.0]])
    assert to_xyxy(initiate(to_xyah(boxes))[0])[0] == pytest.approx(boxes[0])
    assert np.isfinite(to_xyah(boxes)).all()
    means, covariances = initiate(np.zeros((0, 4)))
    assert predict(means, covariances, 1)[0].shape == (0, 8)
    assert mahalanobis(means, covariances, np.zeros((3, 4))).shape == (0, 3)
