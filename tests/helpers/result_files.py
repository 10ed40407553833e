"""What tests read of the files that tracking writes."""

import json
from pathlib import Path


def frame_lines(path):
    """The frames of a file of JSON lines, without its header."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()[1:]]


def names(folder):
    return sorted(file.name for file in Path(folder).iterdir())
