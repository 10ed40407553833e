"""Boxes as a detector draws them: moments of the released variant, and boxes of a fitted table."""

import numpy as np
import pytest
import yaml

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.box_offsets import fit_table, offsets_of
from fastpose_mtn.data.proposals import (
    AxisOffsets,
    FittedBoxes,
    build_box_sampler,
    load_table,
    released_box,
    save_table,
)

BOX = np.array([50.0, 20.0, 150.0, 320.0])


def test_moments_of_the_released_variant():
    """Those of 40,000 draws of the release's, whose sub-windows are a pixel larger: pixel indices."""
    rng, count = np.random.default_rng(1), 80000
    drawn = np.array([released_box(BOX, rng) for _ in range(count)])
    offsets = (drawn - BOX) / (100, 300, 100, 300)
    deviations = np.array([0.1093, 0.0649, 0.1242, 0.0678])
    released = np.array([-0.0064, 0.0096, 0.0093, -0.0058]) - 0.15 * np.array([0, 0, 1 / 100, 1 / 300])
    error = deviations * np.sqrt(1 / count + 1 / 40000)
    assert (np.abs(offsets.mean(axis=0) - released) < 3 * error).all()
    # sub-windows begin and end a quarter of 0.15 within the box, in the mean
    normal, inside = np.array([-0.0142, 0.0043, 0.0154, -0.0013]), 0.15 / 4 * np.array([1, 1, -1, -1])
    assert (
        np.abs(offsets.mean(axis=0) - 0.85 * normal - 0.15 * inside) < 3 * deviations / np.sqrt(count)
    ).all()
    assert offsets.std(axis=0) == pytest.approx(deviations, rel=0.02)


def test_boxes_of_a_fitted_table_differ_as_those_it_was_fitted_to(tmp_path):
    rng = np.random.default_rng(2)
    labelled = np.tile(BOX, (2000, 1))
    found = labelled + rng.normal([5, -9, 10, 30], [4, 6, 3, 12], (2000, 4))
    save_table(tmp_path / "t.yaml", fit_table({"whole": offsets_of(labelled, found)}))
    table = load_table(tmp_path / "t.yaml")
    assert table["whole"][0].boxes == 2000
    drawn = np.array([FittedBoxes(table)(BOX, rng) for _ in range(4000)]) - BOX
    assert drawn.mean(axis=0) == pytest.approx([5, -9, 10, 30], abs=0.6)
    assert drawn.std(axis=0) == pytest.approx([4, 6, 3, 12], rel=0.05)
    uniform = np.array([FittedBoxes(table, uniform=True)(BOX, rng) for _ in range(500)]) - BOX
    low, high = np.quantile(found - labelled, (0.05, 0.95), axis=0)
    assert (uniform >= low - 0.01).all()
    assert (uniform <= high + 0.01).all()
    cfg = get_cfg()
    cfg.INPUT.PGPG.SAMPLER, cfg.INPUT.PGPG.TABLE = "mixture", str(tmp_path / "t.yaml")
    assert isinstance(build_box_sampler(cfg), FittedBoxes)


def axis(low, high):
    """Offsets that are always the same."""
    return AxisOffsets(
        np.ones(1), np.array([[low, high]]), np.zeros((1, 2, 2)), np.array([[low] * 2, [high] * 2]), 10
    )


def test_each_part_has_offsets_of_its_own():
    table = {"whole": (axis(0.1, 0.2), axis(0, 0)), "face": (axis(-1, 1), axis(-2, 6))}
    rng, unit = np.random.default_rng(0), np.array([0.0, 0.0, 10.0, 10.0])
    sampler = FittedBoxes(table)
    assert sampler(unit, rng, "face") == pytest.approx([-10, -20, 20, 70])
    assert sampler(unit, rng) == pytest.approx([1, 0, 12, 10])
    assert sampler(unit, rng, "foot") == pytest.approx([1, 0, 12, 10])  # of which the table has nothing
    gone = FittedBoxes({"whole": (axis(1, -1), axis(0, 0))}, uniform=True)
    assert gone(unit, rng).tolist() == unit.tolist()  # no draw has sides


def test_what_is_no_sampler_and_no_table(tmp_path):
    cfg = get_cfg()
    assert build_box_sampler(cfg) is None
    cfg.INPUT.PGPG.SAMPLER = "normal"
    with pytest.raises(ValueError, match=r"INPUT\.PGPG\.SAMPLER: expected mixture, .* got 'normal'"):
        build_box_sampler(cfg)
    cfg.INPUT.PGPG.SAMPLER = "mixture"
    with pytest.raises(
        ValueError, match=r"INPUT\.PGPG\.SAMPLER mixture: needs INPUT\.PGPG\.TABLE, a file that"
    ):
        build_box_sampler(cfg)
    path = tmp_path / "t.yaml"
    cfg.INPUT.PGPG.SAMPLER, cfg.INPUT.PGPG.TABLE = "uniform", str(path)
    with pytest.raises(ValueError, match=r"t\.yaml: not a table of proposals: .*No such file"):
        build_box_sampler(cfg)
    save_table(path, {"face": (axis(0, 0), axis(0, 0))})
    with pytest.raises(ValueError, match="no offsets of whole people, only of face"):
        build_box_sampler(cfg)
    save_table(path, {"whole": (axis(0, 0), axis(0, 0))})
    assert build_box_sampler(cfg) is not None
    for name, value, problem in (
        ("means", [[0.0]], r"means: expected finite numbers of shape \(1, 2\), got \(1, 1\)"),
        ("weights", [-1.0], r"weights: expected numbers above 0, got \[-1\.0\]"),
    ):
        broken = yaml.safe_load(path.read_text())
        broken["whole"]["y"][name] = value
        (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
        with pytest.raises(ValueError, match=problem):
            load_table(tmp_path / "broken.yaml")
    (tmp_path / "twice.yaml").write_text(path.read_text() * 2)
    with pytest.raises(
        ValueError, match=r"twice\.yaml: not a table of proposals: whole stands there already in line 1"
    ):
        load_table(tmp_path / "twice.yaml")
