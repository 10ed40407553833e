"""What is missing or malformed in datasets, before training on them; ``python -m fastpose_mtn.data.check`` prints it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fastpose_mtn.data.catalog import CocoFiles, coco_files
from fastpose_mtn.data.coco.dataset import (
    annotation_files,
    image_place,
    nothing_left,
    read_records,
    with_people,
)
from fastpose_mtn.data.coco.records import CocoJsonReader, ImageRecord
from fastpose_mtn.data.coco.sequences import sequences_in_files
from fastpose_mtn.data.crops.dataset import CropsDataset, CropsSpec
from fastpose_mtn.data.crops.folder import UNKNOWN_CAMERA
from fastpose_mtn.data.dataset import FRAME_RATE
from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.data.posetrack.sequence import PoseTrackSequence
from fastpose_mtn.data.problems import ERROR, KEPT, LEFT_OUT, Problem, Problems
from fastpose_mtn.data.sample import TASKS
from fastpose_mtn.data.synthetic.images import SyntheticDataset, SyntheticSpec
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton


@dataclass(frozen=True)
class DatasetReport:
    """What a dataset holds and what is wrong with it.

    Attributes:
        name: as in ``DATASETS.TRAIN``.
        summary: numbers of images, people and identities, in words.
        problems: errors first.
        errors: how many of the things found stop training.
    """

    name: str
    summary: str
    problems: tuple[Problem, ...]
    errors: int

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.summary}"]
        for problem in self.problems:
            lines.append(f"  {problem.severity}: {problem.count} {problem.kind}")
            lines += [f"    {place}" for place in problem.places]
            if problem.count > len(problem.places):
                lines.append(f"    ... and {problem.count - len(problem.places)} more")
        if not self.problems:
            lines.append("  nothing is wrong")
        if self.errors:
            lines.append(f"  refused: training or evaluation stops at the first of {self.errors} errors")
        return "\n".join(lines)


def check_dataset(
    name: str,
    skeleton: Skeleton,
    *,
    training: bool = True,
    filter_empty: bool = True,
    skip_bad: bool = False,
    decode: bool = True,
    workers: int = 0,
    places: int = 10,
    progress: bool = False,
    comparable: Callable[[PoseTrackSequence], None] = lambda truth: None,
) -> DatasetReport:
    """Reads everything that training or evaluation would read, by the same code, and goes on after an error.

    Args:
        name: of the dataset, as in ``DATASETS``.
        skeleton: the network's.
        training: whether it is trained on, and not evaluated on.
        filter_empty: ``DATALOADER.FILTER_EMPTY_ANNOTATIONS``, of training.
        skip_bad: ``DATALOADER.SKIP_BAD_IMAGES``, of training.
        decode: read every image whole; otherwise only look whether it is there.
        workers: processes that decode; 0: this one.
        places: how many of each kind of problem are named.
        progress: show a progress bar.
        comparable: raises an ``InputError`` where PoseTrack's evaluation cannot compare with a sequence.

    Raises:
        ValueError: there is no such dataset.
    """
    problems = Problems(collect_errors=True, places=places)
    if name.startswith("synthetic://"):
        summary = _check_drawn(name, problems, training=training)
        return DatasetReport(name, summary, tuple(problems), problems.count(ERROR))
    if name.startswith("crops://"):
        summary = _check_crops(name, problems, decode=decode, workers=workers, progress=progress)
        return DatasetReport(name, summary, tuple(problems), problems.count(ERROR))
    files, skip_bad, filter_empty = coco_files(name), skip_bad and training, filter_empty and training
    reader, there = read_records(
        name, files.annotations, files.images, files.form, problems, filter_empty=False, skip_missing=skip_bad
    )
    used = with_people(there) if filter_empty else there
    with problems.within(f"dataset {name}"):
        if there and not used and not problems.count(ERROR):
            raise nothing_left(name, files.annotations, filter_empty=filter_empty)
    _check_joints(reader, skeleton, problems, str(files.annotations))
    if files.form.sequences and not problems.count(ERROR):
        _check_sequences(files, name, problems, comparable)
    if training and used and not _trained(reader, used, files, skeleton):
        problems.add(ERROR, "datasets that train nothing: none of their tasks is labelled", name)
    if decode:
        paths = [(files.images / record.file_name, record.size_wh) for record in there]
        words = [image_place(files.images, record) for record in there]
        severity = LEFT_OUT if skip_bad else ERROR
        _decode(paths, words, problems, severity=severity, workers=workers, progress=progress)
    empty = len(there) - len(used)
    summary = f"{len(there)} images{f' ({empty} of them empty: not trained on)' if empty else ''}, "
    summary += _summary(reader, used, files, skeleton)
    return DatasetReport(name, summary, tuple(problems), problems.count(ERROR))


def _check_joints(reader: CocoJsonReader, skeleton: Skeleton, problems: Problems, place: str) -> None:
    """Joints that match nothing, and names whose mirror image cannot be told."""
    joints = reader.joints
    if not joints:
        return
    unmatched = [joint for joint in joints if not skeleton.has(joint)]
    if len(unmatched) == len(joints):
        problems.add(
            LEFT_OUT,
            f"datasets none of whose joints is one of {skeleton.name}'s: their joints train nothing",
            f"{place}: {', '.join(joints)}",
        )
    else:
        for joint in unmatched:
            problems.add(KEPT, f"joints that {skeleton.name} lacks, which train nothing", f"{place}: {joint}")
    sided = [joint for joint in joints if joint.startswith(("left_", "right_"))]
    if not sided:
        problems.add(
            KEPT, "skeletons without flip pairs: no joint is called left_... or right_...", f"{place}: {', '.join(joints)}"
        )  # fmt: skip
    for joint in sided:
        side, _, rest = joint.partition("_")
        if f"{'right' if side == 'left' else 'left'}_{rest}" not in joints:
            problems.add(KEPT, "joints without a counterpart on the other side", f"{place}: {joint}")


def _check_sequences(
    files: CocoFiles, name: str, problems: Problems, comparable: Callable[[PoseTrackSequence], None]
) -> None:
    """Counts a dataset that trains, and that PoseTrack's evaluation cannot compare with."""
    try:
        for sequence in sequences_in_files(
            annotation_files(files.annotations, name), files.images, {}, people=files.form.people,
            warn=lambda text: None, frame_rate=FRAME_RATE,
        ):  # fmt: skip
            if sequence.truth is not None:
                comparable(sequence.truth)
    except InputError as error:
        problems.add(KEPT, "datasets that PoseTrack's evaluation cannot compare with", str(error))


def _decode(
    images: Sequence[tuple[Path, tuple[int, int]]],
    places: Sequence[str],
    problems: Problems,
    *,
    severity: str = ERROR,
    workers: int,
    progress: bool,
) -> None:
    """Reads images, see ``image_problem``; each one's place names it in the report."""
    with ProcessPoolExecutor(workers) if workers > 0 else nullcontext() as pool:
        found = map(image_problem, images) if pool is None else pool.map(image_problem, images, chunksize=16)
        bar = tqdm(found, total=len(images), disable=not progress, unit="image", leave=False)
        for place, problem in zip(places, bar, strict=True):
            if problem:
                kind, _, value = problem.partition(", got ")
                problems.add(severity, kind, f"{place}, got {value}" if value else place)


def image_problem(image: tuple[Path, tuple[int, int]]) -> str:
    """What is wrong with a file of which this size, (width, height), is said, (0, 0) for none; "" if nothing is."""
    path, size_wh = image
    try:
        height, width = read_image(path).shape[:2]
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    if size_wh[0] and size_wh != (width, height):
        return (
            f"images of another size than their labels say, got {width}x{height} instead of "
            f"{size_wh[0]}x{size_wh[1]}"
        )
    return ""


def _check_drawn(name: str, problems: Problems, *, training: bool) -> str:
    """The summary of drawn people, whose only file may be that of poses."""
    spec = SyntheticSpec.parse(name)
    with problems.within(f"dataset {name}"):
        SyntheticDataset(name, spec, training=training, problems=problems)
    files = "there are no files" if spec.poses is None else f"poses are those of {spec.poses}"
    return f"drawn when it is asked for; {files}"


def _check_crops(name: str, problems: Problems, *, decode: bool, workers: int, progress: bool) -> str:
    """The summary of a folder of person crops; every picture that collages are made of is read."""
    spec, dataset = CropsSpec.parse(name), None
    with problems.within(f"dataset {name}"):
        dataset = CropsDataset(name, spec, training=True, problems=problems)
    if dataset is None:
        return "cannot be read"
    pictures = [(crop.path, crop.size_wh) for crop in dataset.crops]
    pictures += [(path, (0, 0)) for path in dataset.backgrounds]
    if decode:
        _decode(pictures, [str(path) for path, _ in pictures], problems, workers=workers, progress=progress)
    cameras = {crop.camera for crop in dataset.crops} - {UNKNOWN_CAMERA}
    return (
        f"{len(dataset)} collages of {len(dataset.crops)} crops, {dataset.people_count} identities, "
        f"{len(cameras)} cameras, {len(dataset.backgrounds)} backgrounds; trains {', '.join(sorted(dataset.tasks))}"
    )


def _trained(
    reader: CocoJsonReader, records: Sequence[ImageRecord], files: CocoFiles, skeleton: Skeleton
) -> frozenset[str]:
    """What the images train, as ``CocoJsonDataset`` and the network's skeleton have it."""
    people = [person for record in records for person in record.people]
    labelled = {
        "boxes": True,
        "keypoints": any((person.keypoints[:, 2] > 0).any() for person in people),
        "identities": any(person.identity >= 0 for person in people),
    }
    tasks = frozenset(task for task in TASKS if labelled[task])
    tasks &= TASKS if files.form.tasks is None else files.form.tasks
    return tasks if any(map(skeleton.has, reader.joints)) else tasks - {"keypoints"}


def _summary(
    reader: CocoJsonReader, records: Sequence[ImageRecord], files: CocoFiles, skeleton: Skeleton
) -> str:
    people = [person for record in records for person in record.people]
    labelled = [person for person in people if not person.ignore]
    trained = np.array([skeleton.has(joint) for joint in reader.joints], bool)
    joints = sum(
        int(((person.keypoints[:, 2] > 0) & trained[: len(person.keypoints)]).sum()) for person in labelled
    )
    tasks = _trained(reader, records, files, skeleton)
    return (
        f"{len(labelled)} people, "
        f"{len(people) - len(labelled)} ignored boxes, {joints} joints, {len(reader.identities)} identities; "
        f"trains {', '.join(sorted(tasks)) or 'nothing'}"
    )


if __name__ == "__main__":
    from fastpose_mtn.commands.check import main

    main()
