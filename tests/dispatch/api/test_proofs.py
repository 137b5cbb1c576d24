import asyncio
import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from services.kit.ids import new_id
from tests.dispatch.api.test_rides import DAY, a_report, send, stops_of
from tests.dispatch.conftest import House, checked, furnish, published


def a_photo(kind: str = "JPEG", *, size: tuple[int, int] = (40, 30), colour: str = "red", **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind, **more)
    return out.getvalue()


def a_telling_photo() -> bytes:
    """A picture turned on its side that says where and with what it was taken."""
    told = Image.Exif()
    told[0x010F] = "Secret Phone"
    told[0x0112] = 6
    told.get_ifd(0x8825)[1] = "N"
    return a_photo(exif=told, comment=b"at home")


async def put(house: House, stop_id: str, proof_id: str, content: bytes, by: str = "amel") -> httpx.Response:
    return await house.as_courier(by).put(f"/v1/me/stops/{stop_id}/proofs/{proof_id}", content=content)


async def a_stop(house: House) -> str:
    await published(house, 1)
    return str((await stops_of(house))[0]["id"])


def files(house: House) -> list[Path]:
    return [path for path in (house.folder / "data" / "proofs").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
async def test_a_photo_is_kept_outside_the_database_and_shown(house: House, kind: str, media_type: str) -> None:
    stop_id, proof_id = await a_stop(house), new_id()
    kept = await put(house, stop_id, proof_id, a_photo(kind))
    told = checked(kept)
    assert (told["media_type"], kept.headers["Location"]) == (media_type, f"/v1/proofs/{proof_id}")
    (path,) = files(house)
    shown = await house.as_courier().get(f"/v1/proofs/{proof_id}")
    assert (shown.headers["content-type"], shown.content) == (media_type, path.read_bytes())
    assert shown.headers["ETag"] == f'"{told["sha256"]}"'
    stop = (await stops_of(house))[0]
    assert [(proof["id"], proof["received_at"] is None) for proof in stop["proofs"]] == [(proof_id, False)]


async def test_only_the_picture_is_kept_and_stands_upright(house: House) -> None:
    stop_id, proof_id = await a_stop(house), new_id()
    sent = a_telling_photo()
    assert b"Secret Phone" in sent
    checked(await put(house, stop_id, proof_id, sent))
    shown = (await house.as_courier().get(f"/v1/proofs/{proof_id}")).content
    assert b"Secret Phone" not in shown
    assert b"at home" not in shown
    with Image.open(io.BytesIO(shown)) as picture:
        assert (picture.size, dict(picture.getexif())) == ((30, 40), {})


async def test_a_photo_sent_again_is_answered_the_same(house: House) -> None:
    stop_id, proof_id = await a_stop(house), new_id()
    answers = [(await put(house, stop_id, proof_id, a_photo())).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(files(house)) == 1
    before = await house.as_courier().get(DAY)
    await put(house, stop_id, proof_id, a_photo())
    again = await house.as_courier().get(DAY, headers={"If-None-Match": before.headers["ETag"]})
    assert again.status_code == 304


async def test_a_proof_never_becomes_another_picture_or_anothers(house: House) -> None:
    await published(house, 2)
    first, second = [str(stop["id"]) for stop in (await stops_of(house))[:2]]
    proof_id = new_id()
    checked(await put(house, first, proof_id, a_photo()))
    for stop_id, content in ((first, a_photo(colour="blue")), (second, a_photo()), (second, a_photo(colour="blue"))):
        assert checked(await put(house, stop_id, proof_id, content), 409)["code"] == "proof-elsewhere"
    with Image.open(io.BytesIO((await house.as_courier().get(f"/v1/proofs/{proof_id}")).content)) as picture:
        assert picture.getpixel((5, 5)) == (254, 0, 0)


async def test_a_report_announces_photos_that_follow(house: House) -> None:
    await published(house, 2)
    stops = await stops_of(house)
    pickup = next(stop for stop in stops if stop["kind"] == "pickup")
    other = next(stop for stop in stops if stop["id"] != pickup["id"])
    proof_id = new_id()
    await send(house, a_report(pickup, proof_ids=[proof_id]))
    assert (await house.told())[-1].proof_ids == [proof_id]  # type: ignore[attr-defined]
    assert (await house.as_courier().get(f"/v1/proofs/{proof_id}")).status_code == 404
    assert (await put(house, other["id"], proof_id, a_photo())).status_code == 409
    (stolen,) = await send(house, a_report(other, minute=9, proof_ids=[proof_id]))
    assert stolen["errors"][0]["code"] == "proof-elsewhere"
    checked(await put(house, pickup["id"], proof_id, a_photo()))
    assert (await house.as_courier().get(f"/v1/proofs/{proof_id}")).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"\xff\xd8\xff\xe0 not a picture",
        a_photo()[:-200],
        a_photo("GIF"),
        a_photo("PNG")[:40],
    ],
    ids=["nothing", "text", "a beginning", "cut short", "another format", "cut PNG"],
)
async def test_what_is_no_picture_is_refused_whatever_it_is_called(house: House, content: bytes) -> None:
    stop_id = await a_stop(house)
    address = f"/v1/me/stops/{stop_id}/proofs/{new_id()}"
    answer = await house.as_courier().put(address, content=content, headers={"content-type": "image/jpeg"})
    assert checked(answer, 422)["code"] == "not-a-picture"
    assert files(house) == []


async def test_a_small_file_that_unpacks_into_a_huge_picture_is_refused(house: House) -> None:
    stop_id = await a_stop(house)
    for side in (8_000, 30_000):
        out = io.BytesIO()
        Image.new("1", (side, side)).save(out, "PNG")
        refused = checked(await put(house, stop_id, new_id(), out.getvalue()), 422)
        assert refused["code"] == "not-a-picture"
        assert "pixels" in refused["detail"]


async def test_a_photo_may_be_larger_than_other_bodies(house: House) -> None:
    stop_id = await a_stop(house)
    out = io.BytesIO()
    Image.effect_noise((1500, 1500), 200).convert("RGB").save(out, "JPEG", quality=95)
    assert 1_500_000 < len(out.getvalue()) < 5_000_000
    checked(await put(house, stop_id, new_id(), out.getvalue()))


async def test_too_many_bytes_are_cut_while_they_come(house: House) -> None:
    stop_id = await a_stop(house)
    sent = 0

    async def endless() -> object:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000
            await asyncio.sleep(0)

    answer = await house.as_courier().put(f"/v1/me/stops/{stop_id}/proofs/{new_id()}", content=endless())  # type: ignore[arg-type]
    assert checked(answer, 413)["code"] == "body-too-large"
    assert sent < 6_000_000
    assert files(house) == []


async def test_nobody_adds_a_photo_to_anothers_stop(house: House) -> None:
    stop_id = await a_stop(house)
    await furnish(house, "loire", "elise")
    assert checked(await put(house, stop_id, new_id(), a_photo(), by="elise"), 404)["code"] == "stop-not-found"
    assert checked(await put(house, new_id(), new_id(), a_photo()), 404)["code"] == "stop-not-found"
    assert (await put(house, stop_id, "not-an-id", a_photo())).status_code == 422
    assert files(house) == []


async def test_a_photo_is_shown_to_those_it_concerns_only(house: House) -> None:
    stop_id, proof_id = await a_stop(house), new_id()
    await furnish(house, "loire", "elise")
    checked(await put(house, stop_id, proof_id, a_photo()))
    concerned = [house.as_courier(), house.as_dispatcher(), house.as_administrator(), house.as_department("proprete")]
    strangers = [house.as_courier("elise"), house.as_dispatcher("loire"), house.as_department("voirie")]
    machine = house.as_machine(["proofs:read"])
    assert {(await one.get(f"/v1/proofs/{proof_id}")).status_code for one in concerned} == {200}
    assert {(await one.get(f"/v1/proofs/{proof_id}")).status_code for one in [*strangers, machine]} == {404}
    assert (await house.as_courier().get(f"/v1/proofs/{new_id()}")).status_code == 404
    assert (await house.client().get(f"/v1/proofs/{proof_id}")).status_code == 401


async def test_the_same_id_sent_twice_at_once_is_one_picture(house: House) -> None:
    stop_id, proof_id = await a_stop(house), new_id()
    pictures = [a_photo(colour=colour) for colour in ("red", "green", "blue", "white")]
    answers = await asyncio.gather(*(put(house, stop_id, proof_id, picture) for picture in pictures))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    (kept,) = [answer.json() for answer in answers if answer.status_code == 200]
    shown = await house.as_courier().get(f"/v1/proofs/{proof_id}")
    assert shown.headers["ETag"] == f'"{kept["sha256"]}"'
