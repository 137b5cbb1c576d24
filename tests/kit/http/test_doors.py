from typing import Any

import pytest

from services.kit.http.doors import _leading_words


async def test_an_address_without_parameters_goes_before_one_with(house: Any) -> None:
    async with house.writer() as client:
        assert (await client.get("/v1/boards/newest")).json() == "the newest"
        assert (await client.get("/v1/boards/other")).json()["board"] == "other"


async def test_an_address_names_every_method_it_has(house: Any) -> None:
    async with house.writer() as client:
        collection = await client.delete("/v1/notes")
        member = await client.post("/v1/notes/1")
    assert (collection.status_code, collection.headers["Allow"]) == (405, "GET, POST")
    assert (member.status_code, member.headers["Allow"]) == (405, "GET, PUT")


async def test_an_address_with_more_or_less_to_it_is_another(house: Any) -> None:
    async with house.writer() as client:
        for path in ("/v1/notes/", "/v1/notes/1/2", "/v1", "/v1/boards", "//v1/notes"):
            assert (await client.get(path)).status_code == 404


async def test_who_may_not_come_in_is_told_so_whatever_they_bring(house: Any) -> None:
    async with house.client() as client:
        answer = await client.post("/v1/notes?wrong=1", json={"wrong": 1})
    assert answer.status_code == 401


async def test_a_caller_who_has_the_present_version_costs_no_answer(house: Any) -> None:
    async with house.writer() as client:
        first = await client.get("/v1/boards/red")
        assert first.headers["ETag"] == first.json()["etag"]
        known = {"If-None-Match": first.headers["ETag"]}
        unchanged = await client.get("/v1/boards/red", headers=known)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (
            304,
            b"",
            first.headers["ETag"],
        )
        assert house.runs == ["red"]
        await client.post("/v1/notes", json={"text": "un"})
        changed = await client.get("/v1/boards/red", headers=known)
    assert (changed.status_code, changed.json()["notes"]) == (200, 1)
    assert house.runs == ["red", "red"]


async def test_a_version_is_no_way_around_who_may_come_in_or_what_is_asked(house: Any) -> None:
    async with house.writer() as client, house.client() as stranger:
        known = {"If-None-Match": (await client.get("/v1/boards/red")).headers["ETag"]}
        assert (await stranger.get("/v1/boards/red", headers=known)).status_code == 401
        assert (await client.get("/v1/boards/red?wrong=1", headers=known)).status_code == 422
        blue = await client.get("/v1/boards/blue", headers=known)
        unknown = await client.get("/v1/boards/unknown", headers={"If-None-Match": "*"})
    assert blue.status_code == 200
    assert unknown.status_code == 200
    assert "ETag" not in unknown.headers


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/notes/{id}", ("v1", "notes")),
        ("/v1/notes/{id}/end", ("v1", "notes")),
        ("/pages/{id}", ("pages",)),
        ("/{id}", ()),
    ],
)
def test_doors_are_kept_by_the_words_their_address_begins_with(path: str, words: tuple[str, ...]) -> None:
    assert _leading_words(path) == words
