"""A file or folder wherever fsspec reaches: on this machine, in an object store, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem

from fastpose_mtn.errors import InputError
from fastpose_mtn.files import whole_file


@dataclass(frozen=True)
class Place:
    """Where a file or folder lies.

    Attributes:
        fs: the file system.
        path: within it, without the file system's name.
    """

    fs: AbstractFileSystem
    path: str

    @classmethod
    def of(cls, address: str) -> Place:
        """The place that a path or an address such as ``s3://bucket/folder`` names; nothing need be there.

        Raises:
            InputError: no file system is known by that name, or what it needs is not installed.
        """
        if not address.strip():
            raise InputError("an empty path; give a file, a folder or an address such as s3://bucket/folder")
        try:
            fs, path = fsspec.core.url_to_fs(address)
        except (ValueError, ImportError) as error:
            raise InputError(
                f"{address}: {error}; give a path, or an address that fsspec can open"
            ) from error
        return cls(fs, path)

    @property
    def address(self) -> str:
        """What ``of`` makes the same place of, in any working directory."""
        return self.path if self.local else str(self.fs.unstrip_protocol(self.path))

    @property
    def local(self) -> Path | None:
        """The path on this machine; None where it lies elsewhere."""
        return Path(self.path) if "file" in _protocols(self.fs) else None

    @property
    def within_process(self) -> bool:
        """Whether it is in the memory of this process, so that no other one sees it."""
        return "memory" in _protocols(self.fs)

    def __truediv__(self, name: str) -> Place:
        """A place within this one.

        Raises:
            InputError: the name leads out of it. What a manifest names is replaced and removed.
        """
        if {"", ".", ".."} & set(name.split("/")):
            raise InputError(f"{self.path}: expected the name of a file within it, got {name!r}")
        return Place(self.fs, f"{self.path.rstrip('/')}/{name}")

    def holds(self, other: Place) -> bool:
        """Whether the other place is this one or lies in it."""
        inside = f"{other.path.rstrip('/')}/".startswith(f"{self.path.rstrip('/')}/")
        return inside and _protocols(self.fs) == _protocols(other.fs)

    def write_whole(self, content: bytes) -> None:
        """Writes a file that is whole under its name or not there."""
        if self.local:
            with whole_file(self.local) as partial:
                partial.write_bytes(content)
        else:
            # An object store shows no file before its end; a server's disk does, hence the other name.
            partial_place = Place(self.fs, f"{self.path}.partial")
            self.fs.makedirs(self.path.rpartition("/")[0], exist_ok=True)
            self.fs.pipe_file(partial_place.path, content)
            partial_place.move_to(self)

    def move_to(self, target: Place) -> None:
        """Moves a file within its file system; what was called so before is replaced."""
        if self.local and target.local:
            target.local.parent.mkdir(parents=True, exist_ok=True)
            self.local.replace(target.local)
        else:
            self.fs.mv(self.path, target.path)

    def remove(self) -> None:
        """Removes a file, or a folder with all that is in it; one that is not there is fine."""
        self.fs.invalidate_cache()  # other processes write there too
        if self.fs.exists(self.path):
            self.fs.rm(self.path, recursive=True)


def stamp_of(info: Mapping[str, object]) -> str:
    """What tells a file's content from what it was before: a checksum or a time, as its file system has it."""
    for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created"):
        if info.get(key) is not None:
            return str(info[key])
    return ""


def _protocols(fs: AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
