"""Boxes as a detector draws them: moments of the released variant, and a mixture found again."""

import numpy as np
import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.proposals import (
    FittedBoxes,
    build_box_sampler,
    fit_axis,
    load_table,
    offsets_of,
    released_box,
    save_table,
)

BOX = np.array([50.0, 20.0, 150.0, 320.0])


def test_moments_of_the_released_variant():
    rng = np.random.default_rng(0)
    drawn = np.array([released_box(BOX, rng) for _ in range(20000)])
    offsets = (drawn - BOX) / (100, 300, 100, 300)
    deviations = np.array([0.1093, 0.0649, 0.1242, 0.0678])
    error = 3 * deviations / np.sqrt(20000)
    assert (np.abs(offsets.mean(axis=0) - (-0.0064, 0.0096, 0.0093, -0.0058)) < error + 0.0015).all()
    assert offsets.std(axis=0) == pytest.approx(deviations, rel=0.03)


def test_a_known_mixture_is_found_again():
    rng = np.random.default_rng(1)
    which = rng.random(20000) < 0.3
    first = rng.multivariate_normal([-0.3, 0.2], [[0.01, 0.004], [0.004, 0.01]], 20000)
    second = rng.multivariate_normal([0.2, 0.5], [[0.02, 0], [0, 0.005]], 20000)
    fit = fit_axis(np.where(which[:, None], first, second))
    order = np.argsort(fit.means[:, 0])
    assert len(order) == 2
    assert fit.weights[order] == pytest.approx([0.3, 0.7], abs=0.01)
    assert fit.means[order] == pytest.approx(np.array([[-0.3, 0.2], [0.2, 0.5]]), abs=0.01)
    assert fit.covariances[order[0]] == pytest.approx(np.array([[0.01, 0.004], [0.004, 0.01]]), abs=0.002)
    assert fit.ranges[0, 0] < -0.3 < 0.2 < fit.ranges[0, 1]


def test_boxes_of_a_fitted_table_differ_as_those_it_was_fitted_to(tmp_path):
    rng = np.random.default_rng(2)
    labelled = np.tile(BOX, (2000, 1))
    found = labelled + rng.normal([5, -9, 10, 30], [4, 6, 3, 12], (2000, 4))
    offsets = offsets_of(labelled, found)
    save_table(tmp_path / "t.yaml", {"whole": (fit_axis(offsets[:, 0]), fit_axis(offsets[:, 1]))})
    axes = load_table(tmp_path / "t.yaml")["whole"]
    drawn = np.array([FittedBoxes(axes)(BOX, rng) for _ in range(4000)]) - BOX
    assert drawn.mean(axis=0) == pytest.approx([5, -9, 10, 30], abs=1.0)
    assert drawn.std(axis=0) == pytest.approx([4, 6, 3, 12], rel=0.12, abs=0.6)
    uniform = np.array([FittedBoxes(axes, uniform=True)(BOX, rng) for _ in range(500)]) - BOX
    low, high = np.quantile(found - labelled, (0.05, 0.95), axis=0)
    assert (uniform >= low - 0.01).all()
    assert (uniform <= high + 0.01).all()
    cfg = get_cfg()
    cfg.INPUT.PGPG.SAMPLER, cfg.INPUT.PGPG.TABLE = "mixture", str(tmp_path / "t.yaml")
    assert isinstance(build_box_sampler(cfg), FittedBoxes)


def test_what_is_no_sampler_and_no_table(tmp_path):
    cfg = get_cfg()
    assert build_box_sampler(cfg) is None
    cfg.INPUT.PGPG.SAMPLER = "normal"
    with pytest.raises(ValueError, match=r"INPUT\.PGPG\.SAMPLER: expected mixture, .* got 'normal'"):
        build_box_sampler(cfg)
    cfg.INPUT.PGPG.SAMPLER, cfg.INPUT.PGPG.TABLE = "uniform", str(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match=r"none\.yaml: not a table of proposals: .*No such file"):
        build_box_sampler(cfg)
    with pytest.raises(ValueError, match="expected the offsets of 10 boxes or more, got 3"):
        fit_axis(np.zeros((3, 2)))
