"""One ZIP out of many files, whose bytes depend on nothing but names and contents.

Nothing is compressed: another build of the compressor would give other bytes, and what is large (XLSX, PDF) already is.
"""

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

MANIFEST = "manifeste.json"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The oldest date a ZIP can tell: no file has another one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive and where its bytes come from."""

    name: str
    sha256: str
    size_bytes: int
    parts: Iterable[bytes]


def manifest(facts: dict[str, Any], entries: Sequence[Entry]) -> bytes:
    """Return what lists an archive's files: name, SHA-256 and bytes of each, after some facts about all of them."""
    files = [{"file": entry.name, "sha256": entry.sha256, "bytes": entry.size_bytes} for entry in entries]
    return json.dumps({**facts, "files": files}, ensure_ascii=False, indent=2).encode() + b"\n"


def write_zip(file: BinaryIO, facts: dict[str, Any], entries: Sequence[Entry]) -> None:
    """Write the manifest and the files, part by part, in the order given; `file` can be searched."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_info(MANIFEST), "w") as written:
            written.write(manifest(facts, entries))
        for entry in entries:
            with archive.open(_info(entry.name), "w", force_zip64=entry.size_bytes >= 2**31) as written:
                for part in entry.parts:
                    written.write(part)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIRST_DAY)
    info.create_system = 3  # the same on every system
    info.external_attr = 0o644 << 16
    return info
