import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends
from sqlalchemy import func, select

from services.kit.database import Database
from services.kit.http.edge import Caller, OwnDatabase, ReadView, Tx, needs
from services.kit.http.idempotency import Once
from services.kit.service import Service, assemble
from services.kit.settings import HouseSettings


async def test_what_was_written_is_there_when_the_answer_arrives(house: Any) -> None:
    async with house.writer() as client:
        written = await client.post("/v1/notes", json={"text": "un"})
        read = await client.get(written.headers["Location"])
    assert written.status_code == 201
    assert read.json() == {"id": written.json()["id"], "text": "un"}


async def test_a_failed_commit_is_a_problem_and_not_a_201(house: Any) -> None:
    async with house.writer() as client:
        answer = await client.post("/v1/doomed")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "done" not in answer.text


async def test_a_refusal_leaves_nothing_behind(house: Any, notebook: Service) -> None:
    async with house.writer() as client:
        await client.post("/v1/notes", json={"text": "un"})
        refused = await client.post("/v1/notes", json={"text": "un"}, headers={"Idempotency-Key": "k"})
    assert refused.status_code == 409
    with notebook.database.view() as view:
        kept = notebook.database.metadata.tables["kept_answer"]
        assert view.execute(select(func.count()).select_from(kept)).scalar_one() == 0


async def test_more_writers_at_once_than_worker_threads_all_get_through(house: Any) -> None:
    async with house.writer() as client:
        answers = await asyncio.wait_for(
            asyncio.gather(*(client.post("/v1/notes", json={"text": f"n{n}"}) for n in range(120))), timeout=30
        )
        listed = await client.get("/v1/notes?limit=200")
    assert {answer.status_code for answer in answers} == {201}
    assert len(listed.json()["items"]) == 120


async def test_nobody_gets_in_without_saying_who(house: Any) -> None:
    async with house.client() as client:
        answer = await client.get("/v1/notes")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "not-authenticated"


async def test_one_of_the_scopes_is_needed(house: Any) -> None:
    house.access.accounts.add("reader", scopes=["notes:read"], is_machine=True)
    async with house.as_machine("reader") as client:
        assert (await client.get("/v1/notes")).status_code == 200
        refused = await client.post("/v1/notes", json={"text": "un"})
    assert refused.status_code == 403
    assert refused.json()["needed"] == ["notes:write"]


async def test_a_page_sends_an_anonymous_reader_to_the_log_in_and_back(house: Any) -> None:
    async with house.client(headers={"Accept": "text/html"}) as client:
        answer = await client.get("/cahier?filtre=a%26b")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/connexion?suite=%2Fcahier%3Ffiltre%3Da%2526b"


async def test_an_unknown_query_parameter_is_refused_by_name(house: Any) -> None:
    async with house.writer() as client:
        answer = await client.get("/v1/notes?limit=2&limite=3&tri=nom")
    assert answer.status_code == 422
    assert [fault["parameter"] for fault in answer.json()["errors"]] == [
        {"in": "query", "name": "limite"},
        {"in": "query", "name": "tri"},
    ]


async def test_two_services_in_one_app_each_open_their_own_database(
    notebook: Service, house_settings: HouseSettings, tmp_path: Any
) -> None:
    router = APIRouter()

    @router.get("/v1/where")
    def where(view: ReadView, database: OwnDatabase) -> str:
        return str(database.url.database)

    other = Service("other", Database(f"sqlite:///{tmp_path}/other.db", notebook.database.metadata), [router], {})
    twin = Service("twin", Database(f"sqlite:///{tmp_path}/twin.db", notebook.database.metadata), [router], {})
    for service in (other, twin):
        app = assemble([service], house_settings, topics=[])
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                assert (await client.get("/v1/where")).json() == f"{tmp_path}/{service.name}.db"


def _async_with_tx(router: APIRouter) -> None:
    @router.post("/wrong")
    async def wrong(tx: Tx) -> None: ...


def _dependency_with_view(router: APIRouter) -> None:
    def below(view: ReadView) -> int:
        return 1

    @router.get("/wrong")
    def wrong(number: Annotated[int, Depends(below)]) -> None: ...


def _once_without_tx(router: APIRouter) -> None:
    @router.post("/wrong")
    def wrong(once: Once, caller: Annotated[Caller, needs()]) -> None: ...


@pytest.mark.parametrize("declare", [_async_with_tx, _dependency_with_view, _once_without_tx])
def test_a_door_that_could_not_keep_its_promise_is_refused_at_the_start(
    declare: Callable[[APIRouter], None], notebook: Service, house_settings: HouseSettings
) -> None:
    router = APIRouter()
    declare(router)
    with pytest.raises(TypeError, match="/wrong"):
        assemble([Service("wrong", notebook.database, [router], {})], house_settings, topics=[])
