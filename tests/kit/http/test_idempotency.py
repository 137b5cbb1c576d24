import asyncio
from datetime import timedelta
from typing import Any

from services.kit import clock
from services.kit.http.idempotency import KEPT_FOR, forget_answers
from services.kit.service import Service

KEY = {"Idempotency-Key": "01a20b6a"}


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
            assert forget_answers(notebook.database) == {"forgotten": 0}
            clock.set_now(clock.utc_now() + KEPT_FOR + timedelta(minutes=1))
            assert forget_answers(notebook.database) == {"forgotten": 1}
        finally:
            clock.reset()
    assert later.status_code == 201


async def test_a_key_that_is_too_long_is_refused(house: Any) -> None:
    async with house.writer() as client:
        answer = await client.post("/v1/notes", json={"text": "un"}, headers={"Idempotency-Key": "k" * 256})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == {"in": "header", "name": "Idempotency-Key"}
