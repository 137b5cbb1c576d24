"""A small service of the tests' own, a notebook, behind the real edge, database and files."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Form, Request, Response
from pydantic import AwareDatetime, Field
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kit import clock
from services.kit.database import Database, View
from services.kit.errors import DomainError, refuse_all
from services.kit.events import add_lane_tables
from services.kit.http import html
from services.kit.http.access import Access
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    check_if_match,
    decode_cursor,
    encode_cursor,
    etag_of,
    not_modified,
    page_answer,
)
from services.kit.http.edge import Body, Caller, Now, OwnDatabase, ReadView, Tx, needs, versioned
from services.kit.http.idempotency import Once, add_idempotency_table
from services.kit.jobs import Job, add_lease_table
from services.kit.service import Link, Service, assemble
from services.kit.settings import HouseSettings

METADATA = MetaData()
NOTES = Table(
    "note", METADATA, Column("id", Integer, primary_key=True), Column("text", String(200), nullable=False, unique=True)
)
# Checked at the commit, and not before.
LATE = Table(
    "late",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("note", Integer, ForeignKey("note.id", deferrable=True, initially="DEFERRED")),
)
add_idempotency_table(METADATA)
add_lane_tables(METADATA)
add_lease_table(METADATA)


class TextTaken(DomainError):
    code = "text-taken"
    title = "Texte déjà noté"


class TextEmpty(DomainError):
    code = "text-empty"
    title = "Texte vide"


class NoteNotFound(DomainError):
    code = "note-not-found"
    title = "Note introuvable"


class NoteIn(Body):
    text: str = Field(min_length=1, max_length=20)
    on: date | None = None
    at: AwareDatetime | None = None
    colour: Literal["rouge", "vert"] = "vert"


class NotesIn(Body):
    texts: list[str]


class NoteOut(Body):
    id: int
    text: str


def notebook_router(held: threading.Event, runs: list[str]) -> APIRouter:
    router = APIRouter(tags=["notebook"])
    pages = html.templates(Path(__file__).parent)

    @router.post("/v1/notes", status_code=201, response_model=NoteOut)
    def write(body: NoteIn, tx: Tx, once: Once, caller: Annotated[Caller, needs("notes:write")]) -> Response:
        again = once.replay()
        if again is not None:
            return again
        if body.text == "attendre":
            held.wait(10)
        if tx.execute(select(NOTES).where(NOTES.c.text == body.text)).first():
            raise TextTaken("Choisissez un autre texte.", pointer="/text", text=body.text)
        key = tx.execute(insert(NOTES).values(text=body.text)).inserted_primary_key
        note = NoteOut(id=key[0] if key else 0, text=body.text)
        return once.keep(201, {"Location": f"/v1/notes/{note.id}"}, note)

    @router.post("/v1/note-batches", status_code=204)
    def write_many(body: NotesIn, tx: Tx, caller: Annotated[Caller, needs("notes:write")]) -> None:
        faults: list[DomainError] = []
        for place, text in enumerate(body.texts):
            if text == "pris":
                faults.append(TextTaken("Choisissez un autre texte.", pointer=f"/texts/{place}"))
            elif not text:
                faults.append(TextEmpty("Écrivez quelque chose.", pointer=f"/texts/{place}", least=1))
        refuse_all(faults)

    @router.post("/v1/doomed", status_code=201)
    def write_what_cannot_be_committed(tx: Tx, caller: Annotated[Caller, needs("notes:write")]) -> dict[str, str]:
        tx.execute(insert(LATE).values(note=4711))
        return {"said": "done"}

    @router.get("/v1/notes")
    def read_all(
        request: Request,
        response: Response,
        view: ReadView,
        caller: Annotated[Caller, needs("notes:read", "notes:write")],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[NoteOut]:
        after = decode_cursor(cursor, int)[0] if cursor else 0
        rows = view.execute(select(NOTES).where(NOTES.c.id > after).order_by(NOTES.c.id).limit(limit + 1)).all()
        items = [NoteOut(id=row.id, text=row.text) for row in rows[:limit]]
        return page_answer(request, response, items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    @router.get("/v1/notes/{note_id}", response_model=NoteOut)
    def read(
        note_id: int, request: Request, response: Response, view: ReadView, caller: Annotated[Caller, needs()]
    ) -> NoteOut | Response:
        note = _get(view, note_id)
        etag = etag_of(note.id, note.text)
        unchanged = not_modified(request, etag)
        if unchanged is not None:
            return unchanged
        response.headers["ETag"] = etag
        return note

    def _board_version(view: View, request: Request, caller: Caller | None) -> str:
        board = request.path_params["board"]
        if caller is None or board == "unknown":
            return ""
        newest = view.execute(select(func.max(NOTES.c.id))).scalar_one()
        return f"{board} {caller.account_id} {newest}"

    @router.get("/v1/boards/{board}")
    def board(
        board: str, view: ReadView, caller: Annotated[Caller, needs()], etag: Annotated[str, versioned(_board_version)]
    ) -> dict[str, Any]:
        runs.append(board)
        return {"board": board, "etag": etag, "notes": len(view.execute(select(NOTES)).all())}

    @router.get("/v1/boards/newest")
    def newest_board(caller: Annotated[Caller, needs()]) -> str:
        return "the newest"

    @router.put("/v1/notes/{note_id}")
    def rewrite(
        note_id: int, body: NoteIn, request: Request, tx: Tx, caller: Annotated[Caller, needs("notes:write")]
    ) -> NoteOut:
        note = _get(tx, note_id)
        check_if_match(request, etag_of(note.id, note.text))
        tx.execute(NOTES.update().where(NOTES.c.id == note_id).values(text=body.text))
        return NoteOut(id=note_id, text=body.text)

    @router.put("/v1/attachments", max_body_size=5000)
    async def attach(
        request: Request, database: OwnDatabase, caller: Annotated[Caller, needs("notes:write")]
    ) -> dict[str, int]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return {"size": size}

    @router.get("/v1/whoami")
    async def whoami(caller: Annotated[Caller, needs()], now: Now) -> dict[str, Any]:
        return {
            "account": caller.account_id,
            "scopes": sorted(caller.scopes),
            "desk": caller.claim("desk"),
            "now": now,
        }

    @router.get("/v1/away")
    def away(caller: Annotated[Caller, needs()]) -> None:
        raise PoolTimeout("no connection within 30 s to db.internal")

    @router.get("/v1/broken")
    def broken(caller: Annotated[Caller, needs()]) -> None:
        raise RuntimeError("the secret of the house")

    @router.get("/cahier", include_in_schema=False)
    def page(
        request: Request, view: ReadView, caller: Annotated[Caller, needs("notes:read")], filtre: str = ""
    ) -> Response:
        notes = view.execute(select(NOTES).order_by(NOTES.c.id)).all()
        return pages.render(request, "cahier.html", notes=notes, filtre=filtre)

    @router.post("/cahier", include_in_schema=False)
    def page_form(text: Annotated[str, Form()], tx: Tx, caller: Annotated[Caller, needs("notes:write")]) -> Response:
        tx.execute(insert(NOTES).values(text=text))
        return Response(status_code=303, headers={"Location": "/cahier"})

    return router


def _get(view: Any, note_id: int) -> NoteOut:
    row = view.execute(select(NOTES).where(NOTES.c.id == note_id)).one_or_none()
    if row is None:
        raise NoteNotFound("Vérifiez l'identifiant de la note.", note_id=note_id)
    return NoteOut(id=row.id, text=row.text)


@dataclass
class House:
    """A running house with a notebook: its app, its access, and clients for each kind of caller."""

    app: FastAPI
    held: threading.Event
    runs: list[str]
    """The boards whose endpoint was run."""

    @property
    def access(self) -> Access:
        access: Access = self.app.state.access
        return access

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=("192.0.2.1", 1)),
            base_url="https://notes.example",
            **options,
        )

    def writer(self) -> httpx.AsyncClient:
        """A machine that may read and write notes."""
        if self.access.accounts.get("machine") is None:
            self.access.accounts.add("machine", scopes=["notes:read", "notes:write"], is_machine=True, secret="s" * 12)
        return self.as_machine("machine")

    def as_machine(self, login: str) -> httpx.AsyncClient:
        account = self.access.accounts.get(login)
        assert account is not None
        token = self.access.tokens.issue(account, "api", seconds=60, scopes=account.scopes)
        return self.client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def house_settings(tmp_path: Path) -> HouseSettings:
    return HouseSettings(
        secret_key="only-for-tests-" + "x" * 32,
        accounts=tmp_path / "accounts.json",
        bus_url=f"sqlite:///{tmp_path}/log.db",
        burst_requests=10_000,
    )


@pytest.fixture
def notebook(tmp_path: Path) -> Service:
    return Service(
        name="notebook",
        database=Database(f"sqlite:///{tmp_path}/notebook.db", METADATA),
        routers=[notebook_router(threading.Event(), [])],
        hears={},
        problems={TextTaken: 409, TextEmpty: 422, NoteNotFound: 404},
        role_scopes={"secretary": frozenset({"notes:read", "notes:write"}), "guest": frozenset({"notes:read"})},
        links=[Link("/cahier", "Cahier", "notes:read")],
        jobs=[Job("count", 3600, _count_notes), Job("fail", 3600, _fail)],
    )


def _count_notes(database: Database) -> dict[str, object]:
    with database.view() as view:
        return {"notes": len(view.execute(select(NOTES)).all())}


def _fail(_database: Database) -> dict[str, object]:
    raise ValueError("the inner cause")


Open = Callable[..., Any]


@pytest.fixture
def open_house(notebook: Service, house_settings: HouseSettings) -> Open:
    """Open a house with other settings."""

    @asynccontextmanager
    async def opened(database: Database = notebook.database, **changes: Any) -> AsyncIterator[House]:
        held, runs = threading.Event(), list[str]()
        service = replace(notebook, database=database, routers=[notebook_router(held, runs)])
        app = assemble([service], house_settings.model_copy(update=changes), topics=[])
        async with app.router.lifespan_context(app):
            yield House(app, held, runs)

    return opened


@pytest.fixture
async def house(open_house: Open) -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


@pytest.fixture
def stopped_clock() -> Iterator[datetime]:
    at = datetime.fromisoformat("2026-11-24T08:30:00+01:00")
    clock.set_now(at)
    yield at
    clock.reset()
