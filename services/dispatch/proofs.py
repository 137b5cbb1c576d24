"""Photos on disk: streamed in, looked into, scrubbed of metadata, put in place in one step.

What a phone writes into a photo (place, device, time) is dropped: only the picture is kept.
"""

import asyncio
import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from services.dispatch.domain.errors import NotAPicture

MOST_PIXELS = 50_000_000
"""A picture that unpacks into more is refused before it is unpacked."""

_TOO_MANY_PIXELS = "La photo a trop de pixels : réduisez-la à 50 millions au plus."
_FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png"}
PHOTO_TYPES = tuple(_FORMATS.values())


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo that is in place, and the digest of the bytes that were sent."""

    media_type: str
    bytes: int
    sha256: str
    sent_sha256: str


def path_of(data_dir: Path, proof_id: str, sha256: str) -> Path:
    """Return where a photo is. Its digest is part of the name: what was kept is never replaced by another."""
    return data_dir / "proofs" / sha256[:2] / f"{proof_id}-{sha256[:16]}"


class Upload:
    """A photo on its way in, in a file of its own; gone when the `async with` ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._digest = hashlib.sha256()

    async def __aenter__(self) -> "Upload":
        folder = self._data_dir / "proofs" / "incoming"
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        handle, name = await asyncio.to_thread(tempfile.mkstemp, dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(handle, "wb")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            await asyncio.to_thread(self._path.unlink)

    async def write(self, chunk: bytes) -> None:
        """Take a part of the file; whoever gives them stops when it is too much."""
        self._digest.update(chunk)
        await asyncio.to_thread(self._file.write, chunk)

    def sent_sha256(self) -> str:
        """Return the digest of what was sent, once all of it has come."""
        return self._digest.hexdigest()

    async def keep(self, proof_id: str) -> Kept:
        """Put the picture in place. Raises NotAPicture."""
        return await asyncio.to_thread(self._keep, proof_id)

    def _keep(self, proof_id: str) -> Kept:
        self._file.close()
        scrubbed = self._path.with_suffix(".scrubbed")
        try:
            media_type = _scrub(self._path, scrubbed)
            content = scrubbed.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            target = path_of(self._data_dir, proof_id, sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            scrubbed.replace(target)
            _sync(target.parent)
        finally:
            scrubbed.unlink(missing_ok=True)
        return Kept(media_type, len(content), sha256, self.sent_sha256())


def _scrub(source: Path, target: Path) -> str:
    """Write the picture alone to `target`, on disk for good; return its media type. Raises NotAPicture."""
    try:
        with Image.open(source, formats=list(_FORMATS)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise NotAPicture(_TOO_MANY_PIXELS)
            kind = picture.format or ""
            upright = ImageOps.exif_transpose(picture)
            mode = "RGBA" if upright.has_transparency_data else "L" if upright.mode == "L" else "RGB"
            # A fresh picture: what the old one carried beside its pixels stays behind.
            bare = Image.new(mode, upright.size)
            bare.paste(upright.convert(mode))
    except Image.DecompressionBombError as error:
        raise NotAPicture(_TOO_MANY_PIXELS) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NotAPicture from error
    with target.open("wb") as file:
        bare.save(file, format=kind, **({"quality": 88} if kind == "JPEG" else {}))
        file.flush()
        os.fsync(file.fileno())
    return _FORMATS[kind]


def _sync(folder: Path) -> None:
    """Let the folder's entries survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
