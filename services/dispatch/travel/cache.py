"""What an engine said of pairs of sites, kept in memory and over restarts: one new order costs a row and a column."""

import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from services.dispatch.travel.estimate import Degrees

log = logging.getLogger(__name__)

Keys = NDArray[np.int64]
"""Places as one number each: their coordinates rounded to 1e-5 degrees, about a metre."""

UNKNOWN = -2
"""The engine was not asked yet."""
NO_WAY = -1
"""The engine answered that there is none, or nothing that can be believed."""

_PER_DEGREE = 100_000
_LATITUDE_BITS = 25
_LARGEST_CELLS = 4_000_000
_LARGEST_FILE_BYTES = 256_000_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rides_from (
  dataset TEXT NOT NULL, source INTEGER NOT NULL, rides BLOB NOT NULL, written_at REAL NOT NULL,
  PRIMARY KEY (dataset, source)
)
"""


def keys_of(points: Degrees) -> Keys:
    """Return each point's key; those within the same hundred-thousandth of a degree share one."""
    steps = np.rint(points * _PER_DEGREE).astype(np.int64)
    return ((steps[:, 0] + 180 * _PER_DEGREE) << _LATITUDE_BITS) | (steps[:, 1] + 90 * _PER_DEGREE)


def points_of(keys: Keys) -> Degrees:
    """Return the points that keys stand for."""
    steps = np.stack([keys >> _LATITUDE_BITS, keys & ((1 << _LATITUDE_BITS) - 1)], axis=1)
    return np.asarray((steps - np.array([180, 90]) * _PER_DEGREE) / _PER_DEGREE, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """What is known of rides from one place: targets ascending, seconds and metres or NO_WAY."""

    targets: Keys
    seconds: NDArray[np.int32]
    metres: NDArray[np.int32]

    def packed(self) -> bytes:
        return self.targets.tobytes() + self.seconds.tobytes() + self.metres.tobytes()

    @classmethod
    def unpacked(cls, content: bytes) -> "_Row":
        count = len(content) // 16
        return cls(
            np.frombuffer(content, np.int64, count),
            np.frombuffer(content, np.int32, count, 8 * count),
            np.frombuffer(content, np.int32, count, 12 * count),
        )

    def with_rides(self, targets: Keys, seconds: NDArray[np.int32], metres: NDArray[np.int32]) -> "_Row":
        """Return the row with these rides added or replaced."""
        if not self.targets.size:
            return _Row(targets.copy(), seconds.copy(), metres.copy())
        old = ~np.isin(self.targets, targets, assume_unique=True)
        merged = np.concatenate([self.targets[old], targets])
        order = np.argsort(merged, kind="stable")
        return _Row(
            merged[order],
            np.concatenate([self.seconds[old], seconds])[order],
            np.concatenate([self.metres[old], metres])[order],
        )


_EMPTY = _Row(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))


class RideCache:
    """Rides by dataset, source and target. Bounded in memory, where the least used go first, and on disk.

    Without a file it remembers as long as it lives. The file is shared by the processes of a service on one machine and
    may be lost: whatever goes wrong with it costs time only. Safe to use from several threads.
    """

    def __init__(self, file: Path | None = None, *, largest_cells: int = _LARGEST_CELLS) -> None:
        self._file = file
        self._largest_cells = largest_cells
        self._lock = Lock()
        self._dataset = ""
        self._rows: OrderedDict[int, _Row] = OrderedDict()
        self._cells = 0
        self._database: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file; what is asked later is remembered in memory only."""
        with self._lock:
            self._file = None
            self._disconnect()

    def read(self, dataset: str, sources: Keys, targets: Keys) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return seconds and metres, (sources, targets), with NO_WAY or UNKNOWN where that is so."""
        seconds = np.full((len(sources), len(targets)), UNKNOWN, dtype=np.int32)
        metres = np.full_like(seconds, UNKNOWN)
        with self._lock:
            self._turn_to(dataset)
            wanted = sources.tolist()
            self._fetch([source for source in wanted if source not in self._rows])
            for number, source in enumerate(wanted):
                row = self._rows.get(source)
                if row is None or not row.targets.size:
                    continue
                self._rows.move_to_end(source)
                at = np.searchsorted(row.targets, targets)
                at[at == row.targets.size] = 0
                known = row.targets[at] == targets
                seconds[number, known] = row.seconds[at[known]]
                metres[number, known] = row.metres[at[known]]
        return seconds, metres

    def write(
        self, dataset: str, sources: Keys, targets: Keys, seconds: NDArray[np.int32], metres: NDArray[np.int32]
    ) -> None:
        """Keep rides between these sources and targets, each given once."""
        with self._lock:
            self._turn_to(dataset)
            changed = {}
            for number, source in enumerate(sources.tolist()):
                row = self._rows.get(source, _EMPTY)
                if row.targets.size + targets.size > self._largest_cells:
                    row = _EMPTY
                changed[source] = row.with_rides(targets, seconds[number], metres[number])
                self._put(source, changed[source])
            self._save(changed)

    def _turn_to(self, dataset: str) -> None:
        """Forget what was known over other streets."""
        if dataset != self._dataset:
            self._dataset = dataset
            self._rows.clear()
            self._cells = 0

    def _put(self, source: int, row: _Row) -> None:
        before = self._rows.pop(source, _EMPTY)
        self._rows[source] = row
        self._cells += row.targets.size - before.targets.size
        while self._cells > self._largest_cells and len(self._rows) > 1:
            _, oldest = self._rows.popitem(last=False)
            self._cells -= oldest.targets.size

    # -- the file ----------------------------------------------------------------------------------------------------

    def _fetch(self, sources: list[int]) -> None:
        if not sources or self._file is None or not self._file.exists():
            return
        try:
            for source, rides in self._stored(self._connected(self._file), sources):
                self._put(source, _Row.unpacked(rides))
        except sqlite3.Error as error:
            self._do_without(error)

    def _stored(self, database: sqlite3.Connection, sources: list[int]) -> Iterator[tuple[int, bytes]]:
        for first in range(0, len(sources), 500):
            part = sources[first : first + 500]
            marks = ", ".join("?" * len(part))
            yield from database.execute(
                f"SELECT source, rides FROM rides_from WHERE dataset = ? AND source IN ({marks})",  # noqa: S608 - marks
                (self._dataset, *part),
            )

    def _save(self, rows: dict[int, _Row]) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._connected(self._file) as database:
                database.execute("DELETE FROM rides_from WHERE dataset <> ?", (self._dataset,))
                database.executemany(
                    "INSERT OR REPLACE INTO rides_from VALUES (?, ?, ?, ?)",
                    [(self._dataset, source, row.packed(), time.time()) for source, row in rows.items()],
                )
                (pages,), (page_bytes,) = (
                    database.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size")
                )
                (free,) = database.execute("PRAGMA freelist_count").fetchone()
                if (pages - free) * page_bytes > _LARGEST_FILE_BYTES:
                    database.execute(
                        "DELETE FROM rides_from WHERE written_at < (SELECT avg(written_at) FROM rides_from)"
                    )
        except (sqlite3.Error, OSError) as error:
            self._do_without(error)

    def _connected(self, file: Path) -> sqlite3.Connection:
        """Return the connection, which stays: whoever closes the last one folds the write-ahead log back in."""
        if self._database is None:
            self._database = sqlite3.connect(file, timeout=2, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")  # what a power cut loses is asked again
            self._database.execute(_SCHEMA)
        return self._database

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _do_without(self, error: Exception) -> None:
        """Go on without the file this time; what is no database any more is made anew at the next."""
        log.warning("rides are not kept over restarts: %s", error)
        self._disconnect()
        if self._file and isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            for ending in ("", "-wal", "-shm"):
                with suppress(OSError):
                    self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
