"""A dataset of one's own: what it has to say, and that its class is nobody's business."""

import numpy as np
import pytest

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.dataset import PersonSearchQuery, PoseDataset
from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.evaluation.measures.choice import dataset_measures
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker


class Plain(PoseDataset):
    """Two grey images without anybody in them."""

    name, skeleton, tasks, num_identities = "plain?tasks=boxes", POSETRACK15, frozenset({"boxes"}), 0

    def __len__(self):
        return 2

    def image_size_wh(self, index):
        return 8, 6

    def __getitem__(self, index):
        targets = PersonTargets(
            np.zeros((0, 4), np.float32), np.zeros((0, 15, 3), np.float32), np.zeros(0, np.int64), np.zeros(0, bool)
        )  # fmt: skip
        return LabelledImage(np.full((6, 8, 3), 90, np.uint8), targets, self.tasks, index, str(index))


class Behind(Plain):
    """A dataset that is none of the package's classes and says what another one says."""

    def __init__(self, other):
        self.name, self.tasks, self._other = other.name, other.tasks, other

    has_sequences = property(lambda self: self._other.has_sequences)

    def sequences(self, **options):
        return self._other.sequences(**options)

    def queries(self, gallery_size):
        return [PersonSearchQuery("a", np.zeros(4), ("b",), {})]


def test_what_a_dataset_need_not_say():
    dataset = Plain()
    assert dataset.domain == "plain"
    assert dataset.group_sizes.tolist() == [1, 1]
    assert [dataset.image_id(1), dataset.image_file(1), len(dataset.targets(1))] == [1, None, 0]
    assert dataset.annotations_file(POSETRACK15) is None
    assert not dataset.has_sequences
    assert dataset.sequences(warn=pytest.fail) == []
    assert dataset.queries(100) is None


def test_what_a_dataset_has_to_say():
    with pytest.raises(TypeError, match="abstract"):
        type("Nothing", (PoseDataset,), {})()


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", ["PoseMeasure", "TrackingMeasure", "SearchMeasure"]),
        ("&tasks=keypoints", ["PoseMeasure", "TrackingMeasure"]),
        ("&tasks=boxes", ["PoseMeasure"]),
    ],
)
def test_measures_ask_what_a_dataset_has_and_not_what_it_is(query, kinds):
    drawn = build_dataset(f"synthetic://a?seeds=1&frames=2&size=96x64&people=1{query}", training=False)
    measures = dataset_measures(Behind(drawn), POSETRACK15, new_tracker=OcclusionAwareTracker, describes=True)
    assert [type(measure).__name__ for measure in measures] == kinds


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("synthetic://train?seeds=1&frames=2", "synthetic://train"),
        ("synthetic://train?seeds=1&frames=2&domain=drawn", "drawn"),
    ],
)
def test_a_domain_is_the_datasets_name_unless_it_says_otherwise(name, domain):
    dataset = build_dataset(name, training=True)
    assert (dataset.domain, dataset.tasks) == (domain, TASKS)
