"""The manifest of a corpus, a Parquet file: each video, what became of it and why, and what all were tracked with."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from fastpose_mtn.corpus.place import Place, stamp_of
from fastpose_mtn.errors import InputError

NAME = "manifest.parquet"
WAITING, DONE, FAILED = "waiting", "done", "failed"
_METADATA = b"fastpose"  # of the schema: what all results were made with, as JSON
_SHARE = 20.0  # writing takes at most this part of the time: a large manifest is written less often
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("source", pa.string()),
        ("size", pa.int64()),
        ("stamp", pa.string()),
        ("status", pa.string()),
        ("problem", pa.string()),
        ("attempts", pa.int32()),
        ("frames", pa.int64()),
        ("boxes", pa.int64()),
        ("tracks", pa.int64()),
        ("skipped", pa.int64()),
        ("seconds", pa.float64()),
        ("files", pa.list_(pa.string())),
        ("machine", pa.string()),
        ("version", pa.string()),
        ("finished", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass
class Row:
    """A video of the corpus; there is one row for each source.

    Attributes:
        name: of its results, without an ending.
        source: its address.
        size: of the source, in bytes.
        stamp: of the source: a checksum or a time, as its file system has it.
        status: ``WAITING``, ``DONE`` or ``FAILED``.
        problem: why it failed, or what is missing of a video that is cut off; None where all is well.
        attempts: how often it was begun in the run that brought the status.
        frames: read, those that could not be decoded among them.
        boxes: of people on tracks, summed over frames.
        tracks: how many there are.
        skipped: frames that could not be decoded.
        seconds: from its first frame to its last.
        files: its results, relative to the manifest's folder.
        machine: the address of the one that tracked it.
        version: of fastpose_mtn.
        finished: when, UTC.
    """

    name: str
    source: str
    size: int
    stamp: str
    status: str = WAITING
    problem: str | None = None
    attempts: int = 0
    frames: int = 0
    boxes: int = 0
    tracks: int = 0
    skipped: int = 0
    seconds: float = 0.0
    files: list[str] = field(default_factory=list)
    machine: str = ""
    version: str = ""
    finished: datetime | None = None


class Manifest:
    """The rows of ``FOLDER/manifest.parquet``, read when made and written when asked.

    Attributes:
        rows: by source.
        settings: what results depend on, by name; empty before the first run.

    Raises:
        InputError: there is a file of that name that is no manifest.
    """

    def __init__(self, folder: Place) -> None:
        self._place = folder / NAME
        # the stamp of our file: another's shows that another run writes there
        self._written: str | None = None
        self._due = 0.0
        self.rows: dict[str, Row] = {}
        self.settings: dict[str, str] = {}
        if self._place.fs.exists(self._place.path):
            self._read()

    def _read(self) -> None:
        try:
            table = pq.read_table(pa.BufferReader(self._place.fs.cat_file(self._place.path)))
            self.settings = json.loads((table.schema.metadata or {})[_METADATA])
            self.rows = {record["source"]: Row(**record) for record in table.to_pylist()}
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self._place.address}: not a manifest that this command wrote; move it away or choose another --output"
            ) from error
        self._written = self._stamp()

    def check_settings(self, asked: Mapping[str, str]) -> None:
        """Takes the settings of a first run, and refuses others in a later one.

        Raises:
            InputError: results that are there were made otherwise.
        """
        differing = differences(self.settings, asked)
        if differing:
            raise InputError(
                f"{self._place.address}: its results were made with {differing}; ask for the same, or choose another "
                "--output"
            )
        self.settings = {**asked}

    def write(self, *, now: bool = True) -> None:
        """Writes the file, whole or not at all.

        Args:
            now: False: only if the last time is long enough ago for what writing takes.

        Raises:
            InputError: another run has written to it since.
            OSError: it cannot be written.
        """
        if not now and time.monotonic() < self._due:
            return
        began = time.monotonic()
        if self._stamp() != self._written:
            raise InputError(
                f"{self._place.address}: another run writes to it; wait for it, or choose another --output"
            )
        records = [dataclasses.asdict(row) for row in self.rows.values()]
        schema = _SCHEMA.with_metadata({_METADATA: json.dumps(self.settings)})
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(records, schema), sink)
        self._place.write_whole(sink.getvalue().to_pybytes())
        self._written = self._stamp()
        self._due = time.monotonic() + _SHARE * (time.monotonic() - began)

    def _stamp(self) -> str | None:
        self._place.fs.invalidate_cache()
        if not self._place.fs.exists(self._place.path):
            return None
        info = self._place.fs.info(self._place.path)
        return f"{info.get('size')} {stamp_of(info)} {info.get('ino', '')}"


def differences(were: Mapping[str, str], are: Mapping[str, str]) -> str:
    """What differs between two results' settings, in a few words; "" where nothing does.

    A name that only one has came or went with a version of the package, and is passed over.
    """
    differing = [f"{key} {were[key]}, now {are[key]}" for key in were if are.get(key, were[key]) != were[key]]
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    return "; ".join(differing[:3]) + more
