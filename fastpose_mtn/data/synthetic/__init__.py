"""Labelled videos of people, drawn: for tests, demonstrations and training where no dataset can be had."""

from fastpose_mtn.data.synthetic.config import FIRST_ACCEPTANCE_SEED, SceneConfig
from fastpose_mtn.data.synthetic.dataset import contact_sheet, write_dataset
from fastpose_mtn.data.synthetic.pose_prior import PosePrior
from fastpose_mtn.data.synthetic.scene import SyntheticScene
from fastpose_mtn.data.synthetic.truth import SyntheticFrame

__all__ = [
    "FIRST_ACCEPTANCE_SEED", "PosePrior", "SceneConfig", "SyntheticFrame", "SyntheticScene", "contact_sheet", "write_dataset",
]  # fmt: skip
