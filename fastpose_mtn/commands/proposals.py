"""``python -m fastpose_mtn.data.proposals fit``: how a detector's boxes differ from labels, for training crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, exit_on_error

if TYPE_CHECKING:
    import numpy as np

    from fastpose_mtn.data.dataset import PoseDataset
    from fastpose_mtn.data.proposals import Table
    from fastpose_mtn.estimators.box_files import BoxesFromFile
    from fastpose_mtn.protocols import FrameName, PoseEstimator
    from fastpose_mtn.structures import PersonDetections, PersonTargets


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(
        "python -m fastpose_mtn.data.proposals",
        "Fits how a detector's boxes differ from labelled ones (AlphaPose's part-guided proposals), for people and for "
        "the feet, faces and hands that labels name. Training draws its crops from the table: INPUT.PGPG.SAMPLER mixture "
        "or uniform, INPUT.PGPG.TABLE FILE.",
        examples=(
            'python -m fastpose_mtn.data.proposals fit --dataset "json://my.json?images=my" --detector people '
            "--output boxes.yaml",
            "python -m fastpose_mtn.data.proposals fit --dataset keypoints_coco_2017_train --detector found.json "
            "--output boxes.yaml",
        ),
    )
    add = parser.add_argument
    add("action", choices=("fit",), metavar="fit", help="fit a table")
    add(
        "--dataset",
        nargs="+",
        required=True,
        metavar="NAME",
        help="labelled images, as DATASETS.TRAIN names them",
    )
    add(
        "--detector",
        default="people",
        metavar="SOURCE",
        help="whose boxes: weights, or a file of boxes of these images, as track_video.py --detector (default: people)",
    )
    add("--output", type=Path, required=True, metavar="FILE.yaml", help="the table")
    add(
        "--min-score",
        type=float,
        default=0.1,
        metavar="S",
        help="boxes scored lower do not count (default: 0.1)",
    )
    add("--device", default="auto", help="of weights: auto, cpu or cuda (default: auto)")
    add("--batch-size", type=int, default=4, metavar="N", help="of weights: images seen at once (default: 4)")
    with exit_on_error():
        args = parser.parse_args(arguments)
        if args.output.suffix not in (".yaml", ".yml"):
            raise InputError(f"--output {args.output}: expected a name that ends in .yaml")
        if args.batch_size < 1 or not 0 <= args.min_score <= 1:
            raise InputError(
                f"--batch-size {args.batch_size} and --min-score {args.min_score}: expected 1 or more images, and a score "
                f"in [0, 1]"
            )
        from fastpose_mtn.data.box_offsets import Offsets, add_offsets, fit_table
        from fastpose_mtn.data.catalog import build_dataset
        from fastpose_mtn.data.proposals import save_table

        detector = _open_detector(args.detector, args.device)
        offsets: Offsets = {}
        for name in args.dataset:
            dataset = build_dataset(name, training=True)
            found = people = 0
            for targets, boxes in _found(dataset, detector, args.batch_size, args.min_score):
                more = add_offsets(offsets, targets, boxes[boxes.scores >= args.min_score], dataset.skeleton)
                found, people = found + more[0], people + more[1]
            print(f"{name}: {len(dataset)} images, {people} people, {found} of them found")
        table = fit_table(offsets)
        save_table(args.output, table)
        print(_text(table))
        lacking = sorted(offsets.keys() - table.keys())
        if lacking:
            print(f"left out, of too few boxes: {', '.join(lacking)}")
        print(f"written: {args.output}")


def _open_detector(source: str, device: str) -> PoseEstimator | BoxesFromFile:
    """The detector, which sees images of the size that configurations have by default."""
    from fastpose_mtn.config import get_cfg
    from fastpose_mtn.estimators.detectors import open_detector

    test = get_cfg().INPUT
    size = test.MIN_SIZE_TEST, test.MAX_SIZE_TEST
    return open_detector(source, key="--detector", size=size, device=device)


def _found(
    dataset: PoseDataset, detector: PoseEstimator | BoxesFromFile, batch_size: int, min_score: float
) -> Iterator[tuple[PersonTargets, PersonDetections]]:
    """Each image's labelled people, and whom the detector finds in it."""
    from tqdm import tqdm

    from fastpose_mtn.estimators.box_files import BoxesFromFile
    from fastpose_mtn.protocols import estimate_frames

    for first in tqdm(range(0, len(dataset), batch_size), unit="batch", disable=None):
        images: list[np.ndarray] = []
        names: list[FrameName] = []
        targets: list[PersonTargets] = []
        for index in range(first, min(first + batch_size, len(dataset))):
            image, name, labels = _image(dataset, index, pixels=not isinstance(detector, BoxesFromFile))
            images.append(image)
            names.append(name)
            targets.append(labels)
        found = estimate_frames(detector, images, names, min_score)
        yield from zip(targets, found, strict=True)


def _image(dataset: PoseDataset, index: int, *, pixels: bool) -> tuple[np.ndarray, FrameName, PersonTargets]:
    """An image, what files call it and its labels; without ``pixels`` an image of its size, where a file has it."""
    import numpy as np

    from fastpose_mtn.protocols import FrameName

    file, number = dataset.image_file(index), dataset.image_id(index)
    width, height = dataset.image_size_wh(index)
    if pixels or file is None or (width, height) == (1, 1):
        image = dataset[index]
        return image.image, FrameName(number, number, Path(image.file_name).name), image.targets
    blank = np.broadcast_to(np.uint8(0), (height, width, 3))
    return blank, FrameName(number, number, file.name), dataset.targets(index)


def _text(table: Table) -> str:
    """A line a part and axis."""
    lines = [f"{'part':<12}{'axis':<6}{'boxes':>8}{'components':>12}   mean offsets of the two ends"]
    for part, axes in table.items():
        for axis, fit in zip("xy", axes, strict=True):
            low, high = fit.weights / fit.weights.sum() @ fit.means
            lines.append(f"{part:<12}{axis:<6}{fit.boxes:>8}{len(fit.weights):>12}   {low:+.3f} {high:+.3f}")
    return "\n".join(lines)
