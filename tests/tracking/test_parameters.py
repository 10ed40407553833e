import dataclasses

import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.tracking.parameters import TrackerParameters


def test_the_configurations_defaults_are_those_of_the_parameters():
    cfg = get_cfg()
    assert TrackerParameters.from_config(cfg) == TrackerParameters()
    others = {"NAME", "MSIM", "FLOW", "OFFLINE"}  # which tracker, other ones, and what mends tracks
    assert {name.upper() for name in TrackerParameters.__dataclass_fields__} == set(cfg.TRACKER) - others


def test_every_parameter_is_read_from_its_own_key():
    cfg, expected = get_cfg(), {}
    for field in dataclasses.fields(TrackerParameters):
        other = {str: "iou", bool: False, int: 7}.get(type(field.default), 0.77)
        cfg.merge_from_list([f"TRACKER.{field.name.upper()}", other])
        expected[field.name] = other
    assert dataclasses.asdict(TrackerParameters.from_config(cfg)) == expected


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("strategy", "magic", "expected one of iou, reid, occlusion_aware, got 'magic'"),
        ("joint_thresh", 1.5, "expected a number from 0 to 1, got 1.5"),
        ("position_weight", -0.1, "expected a number from 0 to 1, got -0.1"),
        ("min_similarity", 0.0, "expected a number above 0 and up to 1, got 0.0"),
        ("max_distance", 0.0, "expected a number above 0, got 0.0"),
        ("coasting_seconds", float("inf"), "expected a number above 0, got inf"),
        ("max_lost_seconds", -1.0, "expected 0 or more, got -1.0"),
        ("reach", float("nan"), "expected 0 or more, got nan"),
        ("max_lost", -1, "expected 0 or more, got -1"),
    ],
)
def test_a_bad_parameter_is_named_with_its_key(parameter, value, message):
    with pytest.raises(ValueError, match=rf"^{parameter} \(TRACKER\.{parameter.upper()}\): {message}$"):
        TrackerParameters(**{parameter: value})


def test_every_number_is_checked():
    numbers = [f.name for f in dataclasses.fields(TrackerParameters) if f.type in ("float", "int")]
    assert len(numbers) == 28
    for name in numbers:
        with pytest.raises(ValueError, match=rf"^{name} .* got nan$"):
            TrackerParameters(**{name: float("nan")})
