"""How answers are made comparable and countable: strong ETags, If-Match, and pages behind an opaque cursor."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BaseModel

from services.kit.errors import DomainError

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="Combien d'éléments par page")]
"""How many items a page holds; declare it as `limit: Limit = DEFAULT_LIMIT`."""
DEFAULT_LIMIT = 50
Cursor = Annotated[str | None, Query(max_length=512, description="La valeur `next` de la page précédente")]
"""Where a page starts; declare it as `cursor: Cursor = None` and read it with `decode_cursor`."""


class VersionRequired(DomainError):
    """The caller must say which version of the thing is being changed."""

    code = "if-match-required"
    title = "Version attendue absente"


class VersionStale(DomainError):
    """The thing has changed since the caller read it."""

    code = "version-stale"
    title = "Version dépassée"


class BadCursor(DomainError):
    """The cursor was not made by this list."""

    code = "bad-cursor"
    title = "Curseur inconnu"


PROBLEMS: dict[type[DomainError], int] = {VersionRequired: 428, VersionStale: 412, BadCursor: 422}


def etag_of(*parts: str | bytes | int) -> str:
    """Return a strong ETag (quotes included) for what these parts say together."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    return f'"{digest.hexdigest()}"'


def check_if_match(request: Request, current_etag: str) -> None:
    """Let a change pass only when the caller has seen the present version.

    Raises
    ------
    VersionRequired
        When there is no If-Match.
    VersionStale
        When it names another version.
    """
    given = request.headers.get("if-match")
    if given is None:
        raise VersionRequired(
            "Relisez la ressource et renvoyez son ETag dans l'en-tête If-Match.",
            pointer=None,
            current_etag=current_etag,
        )
    if given.strip() != "*" and current_etag not in _tags(given):
        raise VersionStale(
            "La ressource a changé entre-temps : relisez-la, puis recommencez.", current_etag=current_etag
        )


def not_modified(request: Request, etag: str) -> Response | None:
    """Return a 304 when the caller already has this version, else None."""
    given = request.headers.get("if-none-match")
    if given is None:
        return None
    # If-None-Match compares weakly, RFC 9110 section 13.1.2.
    if given == etag or given.strip() == "*" or etag in _tags(given.replace("W/", "")):
        return Response(status_code=304, headers={"ETag": etag})
    return None


def _tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}


class Page(BaseModel, Generic[T]):
    """One page of a list; `next` is the cursor of the following page, absent on the last one."""

    items: list[T]
    next: str | None = None


def page_answer(request: Request, response: Response, items: Sequence[T], next_cursor: str | None) -> Page[T]:
    """Return a page, and set `Link: <...>; rel="next"` (relative, so that a gateway may sit in front)."""
    if next_cursor is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        address = f"{request.url.path}?{urlencode([*query, ('cursor', next_cursor)])}"
        response.headers["Link"] = f'<{address}>; rel="next"'
    return Page[T](items=list(items), next=next_cursor)


def encode_cursor(*position: str | int) -> str:
    """Return an opaque cursor for the place after the item with these sort values."""
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(text: str, *kinds: type[str] | type[int]) -> tuple[Any, ...]:
    """Return the sort values of a cursor made by `encode_cursor`, each of the given kind.

    Raises
    ------
    BadCursor
        When the text was not made by this list.
    """
    try:
        position = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        position = None
    fits = (
        isinstance(position, list)
        and len(position) == len(kinds)
        and all(type(value) is kind for value, kind in zip(position, kinds, strict=True))
    )
    if not fits or not isinstance(position, list):
        raise BadCursor("Reprenez la liste depuis le début, puis suivez la valeur « next » telle quelle.")
    return tuple(position)
