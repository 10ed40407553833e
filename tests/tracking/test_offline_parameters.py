import dataclasses

import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.tracking.offline_parameters import OfflineParameters


def test_the_configurations_defaults_are_those_of_the_parameters():
    cfg = get_cfg()
    assert OfflineParameters.from_config(cfg) == OfflineParameters()
    assert {name.upper() for name in OfflineParameters.__dataclass_fields__} == set(cfg.TRACKER.OFFLINE)


def test_every_parameter_is_read_from_its_own_key_and_checked():
    for field in dataclasses.fields(OfflineParameters):
        cfg = get_cfg()
        cfg.merge_from_list([f"TRACKER.OFFLINE.{field.name.upper()}", 7])
        assert getattr(OfflineParameters.from_config(cfg), field.name) == 7
        key = rf"^{field.name} \(TRACKER\.OFFLINE\.{field.name.upper()}\): expected 0 or more, got"
        for bad in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=key):
                OfflineParameters(**{field.name: bad})
