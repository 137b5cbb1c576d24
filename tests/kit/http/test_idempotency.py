import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.kit import clock
from services.kit.database import Database
from services.kit.http import idempotency
from services.kit.http.idempotency import KEPT_FOR, forget_answers
from services.kit.service import Service
from tests.servers.postgres import PostgresServer

KEY = {"Idempotency-Key": "01a20b6a"}


def kept_answers(database: Database) -> int:
    with database.view() as view:
        return len(view.execute(select(database.metadata.tables["kept_answer"])).all())


async def test_the_same_request_again_gets_the_same_answer_and_does_nothing(house: Any) -> None:
    async with house.writer() as client:
        first = await client.post("/v1/notes", json={"text": "un"}, headers=KEY)
        again = await client.post("/v1/notes", json={"text": "un"}, headers=KEY)
        listed = await client.get("/v1/notes")
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert len(listed.json()["items"]) == 1


async def test_the_same_key_with_another_body_is_refused(house: Any) -> None:
    async with house.writer() as client:
        await client.post("/v1/notes", json={"text": "un"}, headers=KEY)
        other = await client.post("/v1/notes", json={"text": "deux"}, headers=KEY)
        listed = await client.get("/v1/notes")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(listed.json()["items"]) == 1


async def test_keys_of_two_callers_do_not_meet(house: Any) -> None:
    house.access.accounts.add("other", scopes=["notes:write"], is_machine=True)
    async with house.writer() as one, house.as_machine("other") as other:
        await one.post("/v1/notes", json={"text": "un"}, headers=KEY)
        theirs = await other.post("/v1/notes", json={"text": "deux"}, headers=KEY)
    assert theirs.status_code == 201
    assert theirs.json()["text"] == "deux"


async def test_a_repeat_while_the_first_still_runs_is_told_so(house: Any) -> None:
    async with house.writer() as client:
        first = asyncio.create_task(client.post("/v1/notes", json={"text": "attendre"}, headers=KEY))
        await asyncio.sleep(0.2)
        meanwhile = await client.post("/v1/notes", json={"text": "attendre"}, headers=KEY)
        house.held.set()
        assert (await first).status_code == 201
        after = await client.post("/v1/notes", json={"text": "attendre"}, headers=KEY)
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency-key-running")
    assert after.content == (await first).content


async def test_a_refused_request_may_be_corrected_under_the_same_key(house: Any) -> None:
    async with house.writer() as client:
        await client.post("/v1/notes", json={"text": "un"})
        refused = await client.post("/v1/notes", json={"text": "un"}, headers=KEY)
        corrected = await client.post("/v1/notes", json={"text": "deux"}, headers=KEY)
    assert (refused.status_code, corrected.status_code) == (409, 201)


async def test_a_key_is_free_again_after_its_time(house: Any, notebook: Service) -> None:
    async with house.writer() as client:
        await client.post("/v1/notes", json={"text": "un"}, headers=KEY)
        try:
            clock.set_now(clock.utc_now() + KEPT_FOR + timedelta(minutes=1))
            later = await client.post("/v1/notes", json={"text": "deux"}, headers=KEY)
            # Counted in the table: the house's own job may forget at the same moment, and is then told the number.
            clock.set_now(clock.utc_now() + KEPT_FOR / 2)
            forget_answers(notebook.database)
            young = kept_answers(notebook.database)
            clock.set_now(clock.utc_now() + KEPT_FOR + timedelta(minutes=1))
            forget_answers(notebook.database)
            old = kept_answers(notebook.database)
        finally:
            clock.reset()
    assert later.status_code == 201
    assert (young, old) == (1, 0)


async def test_a_key_that_is_too_long_is_refused(house: Any) -> None:
    async with house.writer() as client:
        answer = await client.post("/v1/notes", json={"text": "un"}, headers={"Idempotency-Key": "k" * 256})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == {"in": "header", "name": "Idempotency-Key"}


async def test_two_processes_share_the_keys_on_one_server(
    postgres_server: PostgresServer, notebook: Service, open_house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.create_database()
    monkeypatch.setattr(idempotency, "_running", _Forgetful())  # as if each house were another process
    one_db, other_db = Database(url, notebook.database.metadata), Database(url, notebook.database.metadata)
    async with (
        open_house(database=one_db) as one,
        open_house(database=other_db) as other,
        one.writer() as here,
        other.writer() as there,
    ):
        first = asyncio.create_task(here.post("/v1/notes", json={"text": "attendre"}, headers=KEY))
        await asyncio.sleep(0.5)
        meanwhile = await there.post("/v1/notes", json={"text": "attendre"}, headers=KEY)
        one.held.set()
        assert (await first).status_code == 201
        after = await there.post("/v1/notes", json={"text": "attendre"}, headers=KEY)
        listed = await there.get("/v1/notes")
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency-key-running")
    assert (after.status_code, after.content) == (201, (await first).content)
    assert len(listed.json()["items"]) == 1


class _Forgetful(set[Any]):
    def __contains__(self, item: object) -> bool:
        return False
