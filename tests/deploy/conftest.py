"""Exported files of small networks."""

import pytest
from networks_to_export import ENDINGS, needs, network

from fastpose_mtn.deploy.formats import write


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Makes each kind of file once."""
    made = {}

    def get(form, score_thresh=0.05):
        needs(form)
        if (form, score_thresh) not in made:
            model, cfg = network(score_thresh)
            path = tmp_path_factory.mktemp("exported") / f"small{ENDINGS[form]}"
            write(form, path, model, cfg)
            made[form, score_thresh] = path, model
        return made[form, score_thresh]

    return get
