"""The labelled sequences of a dataset, for whatever follows people over time: which images they are, and when.

Two kinds of datasets have them: PoseTrack18's files, one a sequence (``CocoJsonFormat.sequences``), and drawn
scenes. A drawn scene's labels come with its images, see ``LabelledImage.posetrack``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastpose_mtn.data.coco.dataset import CocoJsonDataset, annotation_files
from fastpose_mtn.data.json_fields import load_json
from fastpose_mtn.data.loader import PoseDataset
from fastpose_mtn.data.posetrack.files import sequence_name
from fastpose_mtn.data.posetrack.posetrack18 import parse_posetrack18
from fastpose_mtn.data.posetrack.records import image_record, posetrack18_file_name, posetrack18_video_id
from fastpose_mtn.data.posetrack.sequence import PoseTrackSequence
from fastpose_mtn.data.synthetic.dataset import image_id
from fastpose_mtn.data.synthetic.dataset import sequence_name as drawn_sequence_name
from fastpose_mtn.data.synthetic.images import SyntheticDataset
from fastpose_mtn.errors import InputError

FRAME_RATE = 30.0  # frames a second of PoseTrack's sequences, whose files do not say


@dataclass(frozen=True, eq=False)
class LabelledSequence:
    """F frames of one scene or video.

    Attributes:
        name: unique within the dataset.
        images: (F,) PoseTrack18's records of the frames, in order.
        indices: (F,) of each frame the image of the dataset, -1 where it is none of them: not labelled.
        times_s: (F,) in seconds of video. Of a drawn dataset with a stride, frames are so much further apart.
        truth: the labels; None where they come with the images.
    """

    name: str
    images: tuple[dict[str, Any], ...]
    indices: tuple[int, ...]
    times_s: tuple[float, ...]
    truth: PoseTrackSequence | None


def labelled_sequences(
    dataset: PoseDataset, *, warn: Callable[[str], None], frame_rate: float = FRAME_RATE
) -> list[LabelledSequence]:
    """The sequences of a dataset; none where its images are no sequences.

    Args:
        warn: takes one line of text for each oddity of a file.
        frame_rate: of sequences in files, a second; drawn ones know theirs.

    Raises:
        InputError: a file holds something else than one sequence; names the file.
    """
    if isinstance(dataset, SyntheticDataset):
        return [_drawn(dataset, number) for number in range(len(dataset.group_sizes))]
    if isinstance(dataset, CocoJsonDataset) and dataset.form.sequences:
        return _in_files(dataset, frame_rate, warn)
    return []


def has_sequences(dataset: PoseDataset) -> bool:
    """Whether ``labelled_sequences`` has any, without reading a file."""
    return isinstance(dataset, SyntheticDataset) or (
        isinstance(dataset, CocoJsonDataset) and dataset.form.sequences
    )


def _drawn(dataset: SyntheticDataset, number: int) -> LabelledSequence:
    spec, seed = dataset.spec, dataset.spec.seeds[0] + number
    name, fps = drawn_sequence_name(seed), spec.scene(seed).fps
    frames = range(0, spec.frames, spec.stride)
    return LabelledSequence(
        name=name,
        images=tuple(
            image_record(
                image_id=image_id(seed, frame),
                file_name=posetrack18_file_name(name, frame),
                size_hw=spec.size_wh[::-1],
                video_id=posetrack18_video_id(name),
            )
            for frame in frames
        ),
        indices=tuple(range(number * len(frames), (number + 1) * len(frames))),
        times_s=tuple(frame / fps for frame in frames),
        truth=None,
    )


def _in_files(
    dataset: CocoJsonDataset, frame_rate: float, warn: Callable[[str], None]
) -> list[LabelledSequence]:
    index_of = {dataset.path(index): index for index in range(len(dataset))}
    sequences: dict[str, LabelledSequence] = {}
    for path in annotation_files(dataset.annotations, dataset.name):
        data, name = load_json(path), sequence_name(path)
        images = data["images"]  # a list of objects: the dataset has been read from it
        truth = parse_posetrack18(data, path=str(path), name=name, warn=warn)
        if len(truth) != len(images):
            raise InputError(f"{path}: expected one sequence a file, got images of several folders")
        if name in sequences:
            raise InputError(f"{path}: expected a sequence of its own, got {name} in another file too")
        sequences[name] = LabelledSequence(
            name=name,
            images=tuple(images),
            indices=tuple(index_of.get(dataset.folder / image["file_name"], -1) for image in images),
            times_s=tuple(number / frame_rate for number in range(len(images))),
            truth=truth,
        )
    return list(sequences.values())
