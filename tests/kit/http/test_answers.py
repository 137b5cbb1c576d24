from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.http.answers import BadCursor, decode_cursor, encode_cursor, etag_of


async def test_a_reader_who_has_the_present_version_gets_304_without_body(house: Any) -> None:
    async with house.writer() as client:
        address = (await client.post("/v1/notes", json={"text": "un"})).headers["Location"]
        etag = (await client.get(address)).headers["ETag"]
        for shown in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            unchanged = await client.get(address, headers={"If-None-Match": shown})
            assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", etag)
        changed = await client.get(address, headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


async def test_a_change_names_the_version_it_was_made_from(house: Any) -> None:
    async with house.writer() as client:
        address = (await client.post("/v1/notes", json={"text": "un"})).headers["Location"]
        etag = (await client.get(address)).headers["ETag"]
        absent = await client.put(address, json={"text": "deux"})
        made = await client.put(address, json={"text": "deux"}, headers={"If-Match": etag})
        stale = await client.put(address, json={"text": "trois"}, headers={"If-Match": etag})
        weak = await client.put(address, json={"text": "trois"}, headers={"If-Match": f"W/{etag_of(1, 'deux')}"})
    assert (absent.status_code, absent.json()["code"]) == (428, "if-match-required")
    assert made.status_code == 200
    assert (stale.status_code, stale.json()["code"]) == (412, "version-stale")
    assert weak.status_code == 412


async def test_a_list_is_read_page_by_page_to_its_end(house: Any) -> None:
    async with house.writer() as client:
        for number in range(7):
            await client.post("/v1/notes", json={"text": f"n{number}"})
        page, seen = await client.get("/v1/notes?limit=3"), []
        while True:
            seen += [item["text"] for item in page.json()["items"]]
            if page.json()["next"] is None:
                assert "Link" not in page.headers
                break
            link = page.headers["Link"]
            assert link.startswith("</v1/notes?limit=3&cursor=")
            assert link.endswith('>; rel="next"')
            page = await client.get(link[1 : link.index(">")])
    assert seen == [f"n{number}" for number in range(7)]


async def test_pages_have_a_size_between_1_and_200(house: Any) -> None:
    async with house.writer() as client:
        for limit in ("0", "201", "x"):
            assert (await client.get(f"/v1/notes?limit={limit}")).status_code == 422


async def test_a_cursor_from_elsewhere_is_refused(house: Any) -> None:
    async with house.writer() as client:
        for cursor in ("abc", "%00", encode_cursor("text"), encode_cursor(1, 2), "é"):
            answer = await client.get("/v1/notes", params={"cursor": cursor})
            assert (answer.status_code, answer.json()["code"]) == (422, "bad-cursor")


@given(st.text(), st.integers())
def test_a_cursor_gives_back_what_was_put_in(text: str, number: int) -> None:
    assert decode_cursor(encode_cursor(text, number), str, int) == (text, number)


@given(st.text(max_size=60))
def test_no_text_makes_a_cursor_do_anything_but_be_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(text, str, str, int)


def test_an_etag_tells_parts_apart() -> None:
    assert etag_of("ab", "c") != etag_of("a", "bc")
    assert etag_of(1, "x") == etag_of(1, "x")
