"""``fastpose check``: tells what is missing or malformed in datasets, before training on them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, exit_on_error


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; exit status 1 where training would stop."""
    parser = ArgumentParser(
        "fastpose check",
        "Tells what is missing or malformed in datasets, before training on them.",
        examples=(
            "fastpose check 'json://annotations.json?images=photographs'",
            "fastpose check keypoints_coco_2017_val --no-images",
            "fastpose check --config-file my.yaml",
        ),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="datasets as in DATASETS.TRAIN")
    parser.add_argument("--config-file", metavar="YAML", help="check its DATASETS and use its MODEL.SKELETON")
    parser.add_argument(
        "--no-images", action="store_true", help="do not decode the images; see only that they are there"
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes that decode (default 2)"
    )
    parser.add_argument("--places", type=int, default=10, metavar="N", help="named of each kind (default 10)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    with exit_on_error():
        options = parser.parse_args(arguments)
        from fastpose_mtn.config import get_cfg
        from fastpose_mtn.data.check import check_dataset
        from fastpose_mtn.evaluation.measures.tracking import check_comparable
        from fastpose_mtn.skeletons import get_skeleton

        cfg = get_cfg()
        if options.config_file:
            cfg.merge_from_file(options.config_file)
        trained = list(dict.fromkeys([*options.names, *cfg.DATASETS.TRAIN]))
        names = [(name, True) for name in trained]
        names += [(name, False) for name in dict.fromkeys(cfg.DATASETS.TEST) if name not in trained]
        if not names:
            raise InputError("expected the names of datasets, or --config-file with DATASETS")
        errors = 0
        for name, training in names:
            report = check_dataset(
                name, get_skeleton(cfg.MODEL.SKELETON), training=training,
                filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS, skip_bad=cfg.DATALOADER.SKIP_BAD_IMAGES,
                decode=not options.no_images, workers=options.workers, places=max(options.places, 1),
                progress=not options.quiet, comparable=check_comparable,
            )  # fmt: skip
            print(report)
            errors += report.errors
        if errors:
            sys.exit(1)


if __name__ == "__main__":
    main()
