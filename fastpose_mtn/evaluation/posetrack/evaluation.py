"""PoseTrack's evaluation as a function: AP and MOT as poseval gives them, IDF1 and HOTA beside them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fastpose_mtn.data.posetrack.files import PoseTrackWarning, read_posetrack, sequence_name
from fastpose_mtn.data.posetrack.sequence import PoseTrackSequence, frame_place
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.posetrack.average_precision import JointDetections
from fastpose_mtn.evaluation.posetrack.events import joint_events, person_events
from fastpose_mtn.evaluation.posetrack.matching import match_people
from fastpose_mtn.evaluation.posetrack.mot import track_sequence
from fastpose_mtn.evaluation.posetrack.people import select_people
from fastpose_mtn.evaluation.posetrack.results import PoseTrackMetrics, PoseTrackResult, SequenceResult

Source = str | os.PathLike[str] | Iterable[PoseTrackSequence]

_ANY_VIDEOS = (
    "images",
    "imgs",
    "img",
    "img1",
    "frames",
)  # folders whose names do not tell one video from another


def evaluate_posetrack(
    gt: Source,
    predictions: Source,
    *,
    workers: int = 1,
    tracking: bool = True,
    progress: bool = False,
    warn: Callable[[str], None] | None = None,
) -> PoseTrackResult:
    """Compares predictions with ground truth, sequence by sequence.

    Args:
        gt: a folder of JSON files, one a sequence, in PoseTrack17's or PoseTrack18's format; one such file; or sequences.
        predictions: a folder with a file of the same name for each; a file for one; or sequences of the same names. Of
            a sequence of which some frames are labelled, only those are compared.
        workers: processes that read and compare; more than one only for folders. Each starts Python anew,
            so a script that asks for more needs the usual ``if __name__ == "__main__":``.
        tracking: also MOT, IDF1 and HOTA. Without, predictions need no track ids.
        progress: whether to show a progress bar, if standard error is a terminal.
        warn: takes one line of text for each oddity that does not stop the evaluation; by default each
            becomes a :class:`~fastpose_mtn.data.posetrack.files.PoseTrackWarning`.

    Returns:
        The figures and the events behind them. Figures do not depend on the order of the sequences,
        but for AP where scores are equal; folders are read in the order that poseval reads them in.

    Raises:
        InputError: something cannot be compared; the text names file, sequence, frame and field.
        OSError: a file cannot be read.
    """
    if workers < 1:
        raise InputError(f"workers: expected 1 or more, got {workers}")
    jobs, notes = _jobs(gt, predictions, tracking)
    with tqdm(total=len(jobs), unit="sequence", disable=None if progress else True) as bar:
        results = []
        for result in _run(jobs, workers):
            results.append(result)
            bar.update()
    whole = PoseTrackResult.from_sequences(results, tracking=tracking, warnings=notes)
    for text in whole.warnings:
        if warn is None:
            warnings.warn(text, PoseTrackWarning, stacklevel=2)
        else:
            warn(text)
    return whole


def evaluate_sequence(
    gt: PoseTrackSequence, predictions: PoseTrackSequence, *, tracking: bool = True
) -> SequenceResult:
    """Compares the predictions of one sequence with its ground truth.

    Raises:
        InputError: frames of the ground truth are missing, or something else that the comparison needs;
            the text names file, sequence, frame and field.
    """
    notes: list[str] = []
    predictions = _paired(gt, predictions, notes.append)
    people = select_people(gt, predictions, tracking=tracking, warn=notes.append)
    matches = match_people(people)
    if len(people.gt.row) and len(people.predictions.row) and (matches.prediction_of_gt < 0).all():
        notes.append(
            f"{predictions.path or gt.name}: sequence {gt.name}: no joint of its {len(people.predictions.row)} people is "
            "near that of a labelled one; are they of another video, or in pixels of another size?"
        )
    tracked = track_sequence(people, matches) if tracking else None
    detections = JointDetections.from_matches(people, matches)
    prediction_of_gt = np.full(len(gt.frame_index), -1, np.int64)
    prediction_of_gt[people.gt.row] = np.append(people.predictions.row, -1)[matches.prediction_of_gt]
    joint_sums, box_sums = (tracked.joint_sums, tracked.box_sums) if tracked else (None, None)
    return SequenceResult(
        name=gt.name,
        metrics=PoseTrackMetrics.from_parts(
            num_frames=len(gt),
            num_labeled_frames=len(people.frames),
            detections=[detections],
            joint_sums=joint_sums,
            box_sums=box_sums,
        ),
        gt=gt,
        predictions=predictions,
        joint_events=joint_events(people, matches, tracked) if tracked else None,
        person_events=person_events(people, tracked) if tracked else None,
        prediction_of_gt=prediction_of_gt,
        detections=detections,
        joint_sums=joint_sums,
        box_sums=box_sums,
        warnings=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Job:
    """A sequence to compare: two files or two sequences."""

    name: str
    gt: Path | PoseTrackSequence
    predictions: Path | PoseTrackSequence
    tracking: bool


def _run(jobs: list[_Job], workers: int) -> Iterator[SequenceResult]:
    if min(workers, len(jobs)) <= 1:
        yield from map(_compare, jobs)
        return
    from concurrent.futures import ProcessPoolExecutor  # here, as it is not needed by one worker
    from multiprocessing import get_context

    # A new interpreter, not a fork: the caller may hold threads or a GPU that a fork would break.
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_compare, jobs)


def _compare(job: _Job) -> SequenceResult:
    notes: list[str] = []
    # A coordinate near the largest number there is overflows to a joint infinitely far away, as it should.
    with np.errstate(over="ignore", invalid="ignore"):
        gt, predictions = (
            read_posetrack(source, warn=notes.append) if isinstance(source, Path) else source
            for source in (job.gt, job.predictions)
        )
        result = evaluate_sequence(gt, predictions, tracking=job.tracking)
    values = {**vars(result), "name": job.name, "warnings": (*_brief(notes), *result.warnings)}
    return SequenceResult(**values)


def _jobs(gt: Source, predictions: Source, tracking: bool) -> tuple[list[_Job], list[str]]:
    """What to compare, and warnings about what is not."""
    gt_by_name, predictions_by_name = _by_name(gt, "gt"), _by_name(predictions, "predictions")
    if not gt_by_name:
        raise InputError(f"{_place(gt, 'gt')}: expected the ground truth's sequences (.json), got none")
    if _is_file(gt) and _is_file(predictions):  # what they are called is no matter
        predictions_by_name = dict(zip(gt_by_name, predictions_by_name.values(), strict=True))
    missing = [name for name in gt_by_name if name not in predictions_by_name]
    if missing:
        raise InputError(
            f"{_place(predictions, 'predictions')}: expected a prediction for each of the {len(gt_by_name)} "
            f"sequences, got none for {_some(missing)}; a sequence without people needs a file too"
        )
    stems = {sequence_name(Path(name)) for name in gt_by_name}
    extra = [name for name in predictions_by_name if sequence_name(Path(name)) not in stems]
    notes = []
    if extra:
        notes.append(
            f"{_place(predictions, 'predictions')}: no ground truth for {_some(extra)}; not evaluated"
        )
    unique = len(stems) == len(gt_by_name)
    jobs = [
        _Job(sequence_name(Path(name)) if unique else name, source, predictions_by_name[name], tracking)
        for name, source in gt_by_name.items()
    ]
    return jobs, notes


def _by_name(source: Source, role: str) -> dict[str, Path | PoseTrackSequence]:
    """Files by their names, in the order of their folder, which is poseval's; or sequences by theirs."""
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source)
        if folder.is_file():
            return {folder.name: folder}
        if not folder.is_dir():
            raise InputError(
                f"{folder}: expected a folder of PoseTrack files, or one ({role}), got none of that name"
            )
        with os.scandir(folder) as entries:
            return {e.name: Path(e.path) for e in entries if e.name.endswith(".json") and e.name[0] != "."}
    sequences: dict[str, Path | PoseTrackSequence] = {}
    for sequence in source:
        if sequence.name in sequences:
            raise InputError(f"{role}: expected each sequence once, got {sequence.name} twice")
        sequences[sequence.name] = sequence
    return sequences


def _is_file(source: Source) -> bool:
    return isinstance(source, (str, os.PathLike)) and os.path.isfile(source)


def _place(source: Source, role: str) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else role


def _paired(
    gt: PoseTrackSequence, predictions: PoseTrackSequence, warn: Callable[[str], None]
) -> PoseTrackSequence:
    """The predictions of the ground truth's frames.

    As many frames are paired by their position, as in poseval. Labels of some of the frames, which poseval refuses, are
    paired by the images' names.
    """
    where = f"{predictions.path}: sequence {gt.name}" if predictions.path else f"sequence {gt.name}"
    if not len(predictions) and len(gt):
        warn(f"{where}: expected {len(gt)} frames, got none; evaluated as a prediction of nobody")
        return predictions
    if other := _another_video(gt, predictions):
        warn(f"{where}: {other}; if these are two videos, the figures mean nothing")
    if len(gt) == len(predictions):
        _check_order(gt, predictions, warn)
        return predictions
    position = {frame_key(frame.name): i for i, frame in enumerate(predictions.frames)}
    keys = [frame_key(frame.name) for frame in gt.frames]
    absent = [frame.name for frame, key in zip(gt.frames, keys, strict=True) if key not in position]
    counts = f"expected {len(gt)} frames as in the ground truth, got {len(predictions)}"
    if len(predictions) < len(gt):
        missing = f", for example not {absent[0]}" if absent and absent[0] else ""
        raise InputError(f"{where}: {counts}{missing}; frames without people must be there too")
    if absent or len(position) < len(predictions) or len(set(keys)) < len(keys):
        why = (
            f"none of them is {absent[0]}"
            if absent and absent[0]
            else "their file_name does not tell which is which"
        )
        raise InputError(
            f"{where}: {counts}, and {why}; labels of some of the frames need their images' names"
        )
    chosen = np.array([position[key] for key in keys], np.int64)
    falling = np.flatnonzero(np.diff(chosen) < 0)
    if len(falling):
        raise InputError(
            f"{frame_place(gt, int(falling[0]) + 1)}, file_name: the frames are in another order than in "
            f"{predictions.path or 'the predictions'}; sort them as there"
        )
    warn(
        f"{where}: {len(gt)} of its {len(predictions)} frames are in the ground truth, paired by file_name; the others "
        f"are not evaluated"
    )
    return predictions.at_frames(chosen)


def _another_video(gt: PoseTrackSequence, predictions: PoseTrackSequence) -> str | None:
    """What tells that predictions are of another video than the ground truth: the frames' size, or their folder's name."""
    sizes = ({f.size_hw for f in s.frames if f.size_hw and all(f.size_hw)} for s in (predictions, gt))
    (height, width), (gt_height, gt_width) = (next(iter(s), (0, 0)) if len(s) == 1 else (0, 0) for s in sizes)
    if width and gt_width and (height, width) != (gt_height, gt_width):
        return f"its frames have {width:g}x{height:g} pixels, the ground truth's {gt_width:g}x{gt_height:g}"
    folder, gt_folder = (_folder(sequence) for sequence in (predictions, gt))
    # PoseTrack17's folder 000342_mpii is PoseTrack18's 000342_mpii_test
    related = f"{folder}_".startswith(f"{gt_folder}_") or f"{gt_folder}_".startswith(f"{folder}_")
    if folder and gt_folder and not related:
        return f"its frames lie in a folder {folder}, the ground truth's in {gt_folder}"
    return None


def _folder(sequence: PoseTrackSequence) -> str:
    """The name of the folder that its first frame lies in; "" where it could be any video's."""
    name = sequence.frames[0].name if sequence.frames else ""
    folder = os.path.basename(os.path.dirname(name.replace("\\", "/")))
    return "" if folder.lower() in _ANY_VIDEOS else folder


def _check_order(gt: PoseTrackSequence, predictions: PoseTrackSequence, warn: Callable[[str], None]) -> None:
    """As many frames must be in the same order, which their names tell."""
    names, expected = ([frame_key(f.name) for f in s.frames] for s in (predictions, gt))
    differing = [i for i, (a, b) in enumerate(zip(names, expected, strict=True)) if a != b and a and b]
    if not differing:
        return
    first = differing[0]
    text = f"{frame_place(predictions, first)}, file_name: expected {gt.frames[first].name} as in the ground truth"
    if len(set(names)) == len(names) and set(names) == set(expected):
        raise InputError(f"{text}; the frames are in another order, sort them as there")
    warn(f"{text} ({len(differing)} frames differ); frames are paired by position, as in poseval")


def frame_key(file_name: str) -> str:
    """What tells a frame from the others of its sequence: the number in its name, or the name."""
    stem = os.path.splitext(os.path.basename(file_name.replace("\\", "/")))[0]
    return stem.lstrip("0") or "0" if stem.isdigit() else stem


def _brief(notes: list[str], most: int = 5) -> list[str]:
    """The first few warnings of a file; a fault repeated in every frame is one fault."""
    return (
        notes
        if len(notes) <= most
        else [*notes[:most], f"{notes[0].split(',')[0]}: {len(notes) - most} more warnings"]
    )


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + more
