"""Files that are either whole under their name or plainly partial."""

from __future__ import annotations

import os
from pathlib import Path


class PartialFile:
    """Text that is written to ``NAME.partial`` and takes the name ``NAME`` when it is whole.

    A kill at any moment leaves at most ``NAME.partial``; a file called ``NAME`` is complete, and one
    from an earlier run stays until then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial_path = partial_path(path)
        # Line-buffered: whoever reads along sees a frame when it is done, and a kill costs at most a line.
        self._file = open(self.partial_path, "w", encoding="utf-8", newline="\n", buffering=1)  # noqa: SIM115

    def write(self, text: str) -> None:
        self._file.write(text)

    def finish(self) -> None:
        """Gives the file its name. Safe to call once only."""
        self._file.flush()
        os.fsync(self._file.fileno())  # a crash of the machine, too, must not leave the name without the text
        self._file.close()
        os.replace(self.partial_path, self.path)

    def abandon(self, *, keep: bool = True) -> None:
        """Closes the file without giving it its name; ``keep=False`` removes it."""
        self._file.close()
        if not keep:
            self.partial_path.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")
