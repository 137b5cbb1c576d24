"""Idempotency-Key: the first answer is kept beside the data it tells about, in the same transaction.

A request that was refused kept nothing and may be sent again with the same key.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, delete, func, insert, select

from services.kit.clock import utc_now
from services.kit.database import Database, Transaction, UtcDateTime
from services.kit.errors import DomainError
from services.kit.http.access import caller_of

KEPT_FOR = timedelta(hours=24)


class KeyReused(DomainError):
    """The key was used for another request."""

    code = "idempotency-key-reused"
    title = "Clé déjà utilisée"


class StillRunning(DomainError):
    """The first request with this key has not ended yet."""

    code = "idempotency-key-running"
    title = "Demande déjà en cours"


PROBLEMS: dict[type[DomainError], int] = {KeyReused: 422, StillRunning: 409}


def add_idempotency_table(metadata: MetaData) -> Table:
    """Add the table of kept answers to a service's tables."""
    return Table(
        "kept_answer",
        metadata,
        Column("caller", String(200), primary_key=True),
        Column("route", String(200), primary_key=True),
        Column("key", String(255), primary_key=True),
        Column("request_hash", String(64), nullable=False),
        Column("status", Integer, nullable=False),
        Column("headers", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("kept_at", UtcDateTime, nullable=False),
        Index("kept_answer_age", "kept_at"),
    )


def forget_answers(database: Database) -> Mapping[str, object]:
    """Forget the answers older than a day; a job runs this."""
    table = database.metadata.tables["kept_answer"]
    with database.transaction() as tx:
        forgotten = tx.execute(delete(table).where(table.c.kept_at < utc_now() - KEPT_FOR)).rowcount
    return {"forgotten": forgotten}


_running: set[tuple[str, str, str, str]] = set()
_running_lock = threading.Lock()


class Idempotency:
    """One request's key, if it gave one. The endpoint asks `replay()` first and ends with `keep()`."""

    def __init__(
        self, table: Table, *, caller: str, route: str, key: str | None, request_hash: str, house: str
    ) -> None:
        self._table = table
        self._caller = caller
        self._route = route
        self._key = key
        self._request_hash = request_hash
        self._house = house
        self._tx: Transaction | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the key while the request runs. Raises `StillRunning` when another request of this process holds it."""
        if self._key is None:
            yield
            return
        held = (self._house, self._caller, self._route, self._key)
        with _running_lock:
            if held in _running:
                raise self._still_running()
            _running.add(held)
        try:
            yield
        finally:
            with _running_lock:
                _running.discard(held)

    def bind(self, tx: Transaction) -> None:
        """Take the request's transaction, opened by now. Raises `StillRunning` when another process holds the key."""
        self._tx = tx
        if self._key is not None and tx.dialect == "postgresql":
            name = hashlib.sha256("\0".join((self._caller, self._route, self._key)).encode()).digest()[:8]
            lock = func.pg_try_advisory_xact_lock(int.from_bytes(name, signed=True))
            if not tx.execute(select(lock)).scalar_one():
                raise self._still_running()

    def replay(self) -> Response | None:
        """Return the answer the first request with this key got, or None when this is the first.

        Raises
        ------
        KeyReused
            When the first request asked for something else.
        """
        if self._key is None:
            return None
        columns = self._table.c
        kept = (
            self._open_tx()
            .execute(
                select(columns.request_hash, columns.status, columns.headers, columns.body, columns.kept_at).where(
                    columns.caller == self._caller, columns.route == self._route, columns.key == self._key
                )
            )
            .one_or_none()
        )
        if kept is None or kept.kept_at < utc_now() - KEPT_FOR:
            return None
        if kept.request_hash != self._request_hash:
            raise KeyReused(
                "Cette clé Idempotency-Key a déjà servi pour une autre demande : prenez-en une nouvelle.", key=self._key
            )
        return Response(kept.body, status_code=kept.status, headers=json.loads(kept.headers))

    def keep(self, status: int, headers: Mapping[str, str], body: BaseModel | bytes) -> Response:
        """Keep this answer for a repeat of the request, and return it."""
        content = body if isinstance(body, bytes) else body.model_dump_json().encode()
        sent = {"content-type": "application/json", **{name.lower(): value for name, value in headers.items()}}
        if self._key is not None:
            tx, columns = self._open_tx(), self._table.c
            tx.execute(
                delete(self._table).where(
                    columns.caller == self._caller, columns.route == self._route, columns.key == self._key
                )
            )
            tx.execute(
                insert(self._table).values(
                    caller=self._caller,
                    route=self._route,
                    key=self._key,
                    request_hash=self._request_hash,
                    status=status,
                    headers=json.dumps(sent),
                    body=content,
                    kept_at=utc_now(),
                )
            )
        return Response(content, status_code=status, headers=sent)

    def _open_tx(self) -> Transaction:
        if self._tx is None:
            raise RuntimeError("an endpoint that asks for Once must ask for Tx too")
        return self._tx

    def _still_running(self) -> StillRunning:
        return StillRunning(
            "La première demande portant cette clé n'est pas terminée : renvoyez la même dans quelques secondes.",
            key=self._key,
        )


Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Une valeur unique par demande : la même demande renvoyée avec la même clé reçoit la même réponse.",
    ),
]


async def _idempotency(request: Request, key: Key = None) -> Idempotency:
    route: Any = request.scope["route"]
    caller = caller_of(request)
    request_hash = ""
    if key is not None:
        digest = hashlib.sha256(f"{request.url.path}?{request.url.query}\0".encode())
        digest.update(await request.body())
        request_hash = digest.hexdigest()
    return Idempotency(
        route.database.metadata.tables["kept_answer"],
        caller=caller.account_id if caller else "",
        route=f"{request.method} {route.path}",
        key=key,
        request_hash=request_hash,
        house=str(route.database.url),
    )


Once = Annotated[Idempotency, Depends(_idempotency)]
"""What an endpoint asks for to answer a repeated request with the first answer; it must ask for `Tx` too."""
