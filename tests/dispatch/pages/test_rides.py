import asyncio
import io
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.async_api import Page, expect
from starlette.responses import PlainTextResponse

from services.contracts.dispatch.v1.events_pb2 import StopCompleted, StopFailed
from services.dispatch.pages.rides import telephone
from services.kit import clock
from services.kit.http.access import SESSION_COOKIE
from services.kit.ids import new_id
from tests.dispatch.api.test_proofs import a_photo, files
from tests.dispatch.api.test_rides import a_report, send
from tests.dispatch.builders import at
from tests.dispatch.conftest import House, checked, furnish, published
from tests.dispatch.pages.conftest import OpenAs
from tests.dispatch.pages.test_board import in_session

DAY = "/ma-tournee?date=2026-11-24"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


async def a_phone(house: House, open_as: OpenAs, count: int = 1, **options: object) -> Page:
    """Open a courier's page; the house's clock is at nine in the morning."""
    await published(house, count)
    clock.set_now(at(9))
    house.as_courier()
    return await open_as("amel", DAY, **{**PHONE, **options})


async def told(house: House) -> list[StopCompleted | StopFailed]:
    return [event for event in await house.told() if isinstance(event, StopCompleted | StopFailed)]


async def states(house: House) -> list[str]:
    day = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))
    return [stop["state"] for round_ in day["rounds"] for stop in round_["stops"]]


async def becomes(house: House, expected: list[str]) -> None:
    end = asyncio.get_running_loop().time() + 20
    while await states(house) != expected:
        assert asyncio.get_running_loop().time() < end, await states(house)
        await asyncio.sleep(0.1)


def opened(_page: Page) -> str:
    return "details.stop[open]"


async def log_in(house: House, page: Page, login: str) -> None:
    """Let another account take the phone over."""
    access = house.app.state.access
    token = access.tokens.issue(access.accounts.get(login), "session", seconds=600)
    await page.context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": page.url}])


async def test_a_whole_ride_without_script(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as, java_script_enabled=False)
    await page.get_by_role("button", name="J'y vais").first.click()
    await expect(page.get_by_role("status")).to_have_text("C'est noté.")
    await page.get_by_role("button", name="Sur place").first.click()
    await page.locator(opened(page)).get_by_role("spinbutton").fill("2")
    await page.get_by_role("button", name="Enlevé").click()
    await expect(page.get_by_role("alert")).to_contain_text("expliquez l'écart")
    await page.locator(opened(page)).get_by_role("spinbutton").fill("2")
    await page.get_by_text("Remarque, photo").first.click()
    await page.locator(opened(page)).get_by_label("Remarque").first.fill("Un manque")
    photo = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": a_photo()}
    await page.locator(opened(page)).get_by_label("Photo").first.set_input_files(photo)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Enlevé").click()
    await expect(page.get_by_text("Arrêts clos : 1 sur 2")).to_be_visible()
    await expect(page.locator(opened(page))).to_contain_text("École")
    await page.get_by_text("Un problème ?").last.click()
    await page.get_by_label("Motif").last.select_option("load-refused")
    await page.get_by_role("button", name="Signaler l'échec").last.click()
    await expect(page.get_by_text("tournée terminée")).to_be_visible()
    completed, failed = await told(house)
    assert isinstance(completed, StopCompleted)
    assert isinstance(failed, StopFailed)
    assert ([load.counted for load in completed.loads], completed.note) == ([2], "Un manque")
    day = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))
    proofs = day["rounds"][0]["stops"][0]["proofs"]
    assert [(proof["id"], proof["received_at"] is None) for proof in proofs] == [(completed.proof_ids[0], False)]


async def test_the_next_stop_is_first_large_and_done_without_scrolling(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as, 2)
    assert await page.locator("details.stop[open]").count() == 1
    done = page.get_by_role("button", name="Enlevé").first
    box = await done.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844
    assert box["height"] >= 48
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_with_script_each_action_moves_on_to_the_next_stop(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    await page.get_by_role("button", name="Sur place").first.click()
    await becomes(house, ["arrived", "to_do"])
    await page.get_by_role("button", name="Un de moins").first.click()
    note = page.locator(opened(page)).get_by_label("Remarque").first
    await expect(note).to_be_visible()  # a difference asks for a word
    await page.get_by_role("button", name="Enlevé").click()
    assert await states(house) == ["arrived", "to_do"]
    await note.fill("Un manque")
    await page.get_by_role("button", name="Enlevé").click()
    await becomes(house, ["completed", "to_do"])
    await page.get_by_role("button", name="Livré").click()
    await becomes(house, ["completed", "completed"])
    await expect(page.get_by_text("tournée terminée")).to_be_visible()
    counted = [load.counted for event in await told(house) if isinstance(event, StopCompleted) for load in event.loads]
    assert counted == [2, 2]


async def test_what_is_being_entered_outlives_news_of_the_round(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    await expect(page.get_by_role("button", name="Un de moins").first).to_be_visible()
    await page.get_by_role("button", name="Un de moins").first.click()
    stop = page.locator(opened(page))
    await stop.get_by_label("Remarque").first.fill("Un manque")
    photo = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": a_photo()}
    await stop.get_by_label("Photo").first.set_input_files(photo)  # type: ignore[arg-type]
    await page.get_by_text("Un problème ?").first.click()
    await page.get_by_text("Itinéraire").first.focus()  # no field has the focus: news may be drawn
    day = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))
    await send(house, a_report(day["rounds"][0]["stops"][0], "arrive"))
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(stop.get_by_role("button", name="Sur place")).to_have_count(0)
    await expect(stop.get_by_role("spinbutton")).to_have_value("2")
    await expect(stop.get_by_label("Motif")).to_be_visible()
    await page.get_by_role("button", name="Enlevé").click()
    await becomes(house, ["completed", "to_do"])
    completed = (await told(house))[-1]
    assert isinstance(completed, StopCompleted)
    assert ([load.counted for load in completed.loads], completed.note) == ([2], "Un manque")
    await expect(page.locator("#envoi")).to_be_hidden()
    done = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"][0]["stops"][0]
    assert [proof["received_at"] is None for proof in done["proofs"]] == [False]


async def test_what_is_done_without_a_network_is_counted_kept_and_sent_later(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    await page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    await page.reload()  # from now on the page is in the phone's memory
    await expect(page.get_by_role("button", name="Enlevé")).to_be_visible()
    await page.context.set_offline(True)
    await page.get_by_role("button", name="Un de moins").first.click()
    await page.locator(opened(page)).get_by_label("Remarque").first.fill("Un manque")
    await page.get_by_role("button", name="Enlevé").click()
    await expect(page.get_by_text("1 action à envoyer, hors connexion")).to_be_visible()
    await page.get_by_role("button", name="Livré").click()
    await expect(page.get_by_text("2 actions à envoyer, hors connexion")).to_be_visible()
    assert await states(house) == ["to_do", "to_do"]
    await page.reload()  # the phone was locked, the browser dropped the page
    await expect(page.get_by_text("2 actions à envoyer")).to_be_visible()
    await expect(page.get_by_text("fait, à envoyer")).to_have_count(2)
    await page.context.set_offline(False)
    await becomes(house, ["completed", "completed"])
    await expect(page.locator("#envoi")).to_be_hidden()
    events = [event for event in await told(house) if isinstance(event, StopCompleted)]
    assert [(event.stop_kind, event.loads[0].counted, event.note) for event in events] == [
        (1, 2, "Un manque"),
        (2, 2, "Un manque"),
    ]


async def test_a_page_from_the_phones_memory_shows_what_changed_once_there_is_a_network(
    house: House, open_as: OpenAs
) -> None:
    page = await a_phone(house, open_as)
    await page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    await page.reload()
    await expect(page.get_by_role("button", name="Enlevé")).to_be_visible()
    await page.context.set_offline(True)
    stop = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"][0]["stops"][0]
    await send(house, a_report(stop, "arrive"))
    await page.reload()
    await expect(page.locator("[data-etat]").first).to_have_text("à faire")
    as_of = await page.locator("[data-a-jour]").text_content()
    await page.context.set_offline(False)
    await expect(page.locator("[data-etat]").first).to_have_text("sur place")
    assert await page.locator("[data-a-jour]").text_content() != as_of


async def test_a_page_that_is_up_to_date_is_not_drawn_again(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    async with page.expect_response("**/v1/me/assignments*") as told:
        await page.reload()
    assert (await told.value).status == 304


async def test_a_service_that_fails_is_like_none_at_all(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    await page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    await page.reload()
    service = house.app.middleware_stack
    house.app.middleware_stack = PlainTextResponse("The service is being started.", 502)
    await page.reload()
    await page.get_by_role("button", name="Enlevé").click()
    await expect(page.get_by_text("1 action à envoyer")).to_be_visible()
    await page.wait_for_timeout(1_000)
    kept = await page.evaluate(f"caches.match('{DAY}').then((answer) => answer.text())")
    assert f"data-a-jour>{await page.locator('[data-a-jour]').text_content()}<" in kept  # no younger than it is
    house.app.middleware_stack = service
    await page.get_by_role("button", name="Envoyer maintenant").click()
    await becomes(house, ["completed", "to_do"])
    await expect(page.locator("#envoi")).to_be_hidden()


async def test_a_session_that_is_over_is_told_once_and_loses_nothing(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    cookies = await page.context.cookies()
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Enlevé").click()
    again = page.get_by_role("link", name="Votre session est finie")
    await expect(again).to_have_count(1)
    for _ in range(2):
        async with page.expect_response("**/v1/me/assignments*"):
            await page.get_by_role("button", name="Envoyer maintenant").click()
    await page.wait_for_timeout(500)
    await expect(again).to_have_count(1)
    await page.context.add_cookies(cookies)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Envoyer maintenant").click()
    await becomes(house, ["completed", "to_do"])


async def test_a_session_that_is_over_is_told_where_nothing_waits_to_be_sent(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    await page.context.clear_cookies()
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.get_by_role("link", name="Votre session est finie")).to_have_count(1)


async def test_what_one_courier_left_unsent_on_a_shared_phone_waits_for_them(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    await furnish(house, "loire", "elise")
    house.as_courier("elise")
    await page.context.set_offline(True)
    await page.get_by_text("Un problème ?").first.click()
    await page.get_by_label("Motif").first.select_option("site-closed")
    photo = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": a_photo()}
    await page.locator(f"{opened(page)} details.problem").get_by_label("Photo").set_input_files(photo)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Signaler l'échec").first.click()
    await expect(page.get_by_text("2 actions à envoyer, hors connexion")).to_be_visible()
    await log_in(house, page, "elise")
    await page.context.set_offline(False)
    await page.get_by_role("link", name="Un autre compte s'est connecté").click()
    await expect(page.get_by_text("2 actions d'un autre compte attendent sur ce téléphone")).to_be_visible()
    await expect(page.locator("#envoi")).to_be_hidden()
    async with page.expect_response("**/v1/me/assignments*"):
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.wait_for_timeout(500)
    await expect(page.locator("#refus")).to_be_empty()
    assert await states(house) == ["to_do", "to_do"]
    await log_in(house, page, "amel")
    await page.reload()
    await becomes(house, ["failed", "skipped"])
    await expect(page.locator("#envoi")).to_be_hidden()
    await expect(page.locator("#envoi-autres")).to_be_hidden()
    stop = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"][0]["stops"][0]
    assert not stop["is_photo_missing"]


async def test_a_photo_taken_without_a_network_follows(house: House, open_as: OpenAs, tmp_path: Path) -> None:
    page = await a_phone(house, open_as)
    large = io.BytesIO()
    Image.effect_noise((3000, 2000), 100).convert("RGB").save(large, "JPEG", quality=95)
    await page.context.set_offline(True)
    await page.get_by_text("Un problème ?").first.click()
    await page.get_by_label("Motif").first.select_option("site-closed")
    photo = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": large.getvalue()}
    await page.locator(f"{opened(page)} details.problem").get_by_label("Photo").set_input_files(photo)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Signaler l'échec").first.click()
    await expect(page.get_by_text("2 actions à envoyer, hors connexion")).to_be_visible()
    await page.context.set_offline(False)
    await becomes(house, ["failed", "skipped"])
    await expect(page.locator("#envoi")).to_be_hidden()
    stop = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"][0]["stops"][0]
    assert not stop["is_photo_missing"]
    shown = await house.as_courier().get(stop["proofs"][0]["href"])
    with Image.open(io.BytesIO(shown.content)) as picture:
        assert max(picture.size) == 1600  # made small on the phone


async def test_a_report_that_is_refused_is_told_and_does_not_block_the_others(house: House, open_as: OpenAs) -> None:
    page = await a_phone(house, open_as)
    bad = '[{"event_id": "%s", "stop_id": "%s", "kind": "start", "occurred_at": "2026-11-24T09:00:00Z"}]'
    await page.evaluate(f"localStorage.setItem('tournee.a-envoyer', '{bad % (new_id(), new_id())}')")
    await page.get_by_role("button", name="Enlevé").click()
    await becomes(house, ["completed", "to_do"])
    await expect(page.get_by_role("alert")).to_contain_text("n'est pas dans vos tournées")


async def test_a_withdrawn_round_shows_without_a_reload(house: House, open_as: OpenAs) -> None:
    plan = await published(house, 1)
    house.as_courier()
    page = await open_as("amel", DAY, **PHONE)
    await expect(page.get_by_role("button", name="Enlevé")).to_be_visible()
    await page.wait_for_timeout(500)
    body = {"reason": "Vélo volé."}
    checked(await house.as_dispatcher().post(f"/v1/rounds/{plan['rounds'][0]['id']}/withdrawal", json=body))
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.get_by_text("Vélo volé.")).to_be_visible(timeout=30_000)
    await expect(page.locator("details.stop")).to_have_count(0)


async def at_the_first_stop(house: House) -> tuple[httpx.AsyncClient, str, dict[str, str]]:
    """Publish a round; return its courier's phone, where the first form that ends a stop goes, and what it says."""
    await published(house, 1)
    clock.set_now(at(9))
    house.as_courier()
    phone = in_session(house, "amel")
    (found, *_) = re.findall(
        r'arrets/([^"]+)"[^>]*>\s*<input type="hidden" name="kind" value="complete">'
        r'<input type="hidden" name="event_id" value="([^"]+)">',
        (await phone.get(DAY)).text,
    )
    stop_id, event_id = found
    form = {"kind": "complete", "event_id": event_id, "compte-ballot-linge": "3", "note": ""}
    return phone, f"/ma-tournee/arrets/{stop_id}", form


async def test_a_form_sent_twice_is_one_report(house: House) -> None:
    phone, address, form = await at_the_first_stop(house)
    for _ in range(2):
        assert (await phone.post(address, data=form)).status_code == 303
    assert len(await told(house)) == 1


async def test_what_a_form_reports_is_told_with_its_photo(house: House) -> None:
    phone, address, form = await at_the_first_stop(house)
    picture = {"photo": ("p.jpg", a_photo(), "image/jpeg")}
    for _ in range(2):
        assert (await phone.post(address, data=form, files=picture)).status_code == 303
    (completed,) = await told(house)
    (proof_id,) = completed.proof_ids
    assert (await house.as_courier().get(f"/v1/proofs/{proof_id}")).status_code == 200
    assert len(files(house)) == 1


async def test_a_photo_and_the_report_it_came_with_are_taken_together_or_not_at_all(house: House) -> None:
    phone, address, form = await at_the_first_stop(house)
    no_picture = {"photo": ("p.jpg", b"not a picture", "image/jpeg")}
    refused = await phone.post(address, data=form, files=no_picture)
    assert (refused.status_code, "JPEG ou PNG" in refused.text) == (422, True)
    picture = {"photo": ("p.jpg", a_photo(), "image/jpeg")}
    refused = await phone.post(address, data=form | {"compte-ballot-linge": "2"}, files=picture)
    assert (refused.status_code, "expliquez l&#39;écart" in refused.text) == (422, True)
    assert await told(house) == []
    assert files(house) == []
    assert await states(house) == ["to_do", "to_do"]
    assert (await phone.post(address, data=form, files=picture)).status_code == 303
    assert await states(house) == ["completed", "to_do"]


async def test_a_form_that_makes_no_sense_is_refused_in_words(house: House) -> None:
    await published(house, 1)
    await furnish(house, "loire", "elise")
    house.as_courier("elise")
    stop = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"][0]["stops"][0]
    phone = in_session(house, "amel")
    address = f"/ma-tournee/arrets/{stop['id']}"
    empty = await phone.post(address, data={"kind": "dance"})
    assert (empty.status_code, "rechargez la page" in empty.text) == (422, True)
    counted = {"kind": "complete", "event_id": new_id(), "compte-ballot-linge": "beaucoup"}
    assert "nombres entiers" in (await phone.post(address, data=counted)).text
    not_hers = {"kind": "start", "event_id": new_id()}
    assert (await in_session(house, "elise").post(address, data=not_hers)).status_code == 404
    picture = {"photo": ("p.jpg", b"not a picture", "image/jpeg")}
    form = {"kind": "start", "event_id": new_id()}
    refused = await phone.post(address, data=form, files=picture)
    assert (refused.status_code, "JPEG ou PNG" in refused.text) == (422, True)


@pytest.mark.parametrize(
    ("contact", "number"),
    [
        ("Mme Roy, 02 40 00 00 00", "0240000000"),
        ("+33 6 12 34 56 78 (gardien)", "+33612345678"),
        ("06.12.34.56.78", "0612345678"),
        ("Mme Roy", ""),
        ("code 1234", ""),
    ],
)
def test_a_telephone_number_can_be_called(contact: str, number: str) -> None:
    assert telephone(contact) == number
