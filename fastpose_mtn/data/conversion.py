"""The command line of the converters in ``datasets/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.data.catalog import datasets_folder


class Conversion(NamedTuple):
    """What is asked for.

    Attributes:
        root: the dataset's folder.
        skip_missing: images that cannot be read end nothing.
    """

    root: Path
    skip_missing: bool


def parse_conversion(
    arguments: Sequence[str] | None,
    *,
    name: str,
    description: str | None,
    skips: str = "leave out images that cannot be read",
) -> Conversion:
    """Reads a converter's command line.

    Args:
        arguments: None: the process's.
        name: of the dataset's folder in the datasets' folder, where none is named.
        description: of the converter.
        skips: what ``--skip-missing`` does.
    """
    parser = ArgumentParser(description=description)
    parser.add_argument(
        "--root", type=Path, help=f"the dataset's folder (default: {name} in the datasets' folder)"
    )
    parser.add_argument("--skip-missing", action="store_true", help=skips)
    options = parser.parse_args(arguments)
    return Conversion(options.root or datasets_folder() / name, options.skip_missing)
