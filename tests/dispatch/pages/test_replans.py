"""A dispatcher readjusts her day, without script and by keyboard; the couriers' phones show it."""

from datetime import datetime, timedelta
from typing import Any

from playwright.async_api import expect

from services.kit import clock
from tests.dispatch.api.test_replans import loss_of, proposed, report, stops_of, two_rounds
from tests.dispatch.builders import a_leg, amount_held, at, order_id, order_placed
from tests.dispatch.conftest import House, hire
from tests.dispatch.pages.conftest import OpenAs
from tests.dispatch.pages.test_board import in_session

BOARD = "/tableau?date=2026-11-24"
FORM = "/tableau/reajustement?date=2026-11-24"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}


async def test_a_day_is_readjusted_by_keyboard_without_a_script(house: House, open_as: OpenAs) -> None:
    await two_rounds(house)
    await house.hear(order_placed(9, a_leg(pickup="musée", drop="jardin")), amount_held(9))
    page = await open_as("regie-erdre", BOARD, java_script_enabled=False)
    await page.get_by_role("link", name="Réajuster la journée").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Ne roule plus").select_option(index=2)  # Bastien
    await page.get_by_label("Mesuré").focus()
    await page.keyboard.press("ArrowDown")
    await page.get_by_role("button", name="Voir la proposition").focus()
    await page.keyboard.press("Enter")
    # It searches for seconds, in a process that is started first.
    await expect(page.get_by_role("heading", name="Changent de tournée")).to_be_visible(timeout=30_000)
    moved = page.get_by_role("region", name="Changent de tournée")
    await expect(moved.get_by_role("row")).to_have_count(3)
    await expect(moved).to_contain_text("Bastien ne roule plus.")
    added = page.get_by_role("region", name="Entrent dans une tournée")
    await expect(added).to_contain_text("C-0009")
    await expect(added).to_contain_text("Elle n'était dans aucune tournée.")
    await expect(page.get_by_role("region", name="Par coursier")).to_contain_text("Bastien : perd C-000")
    await page.get_by_role("button", name="Accepter").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("La journée est réajustée")

    for login in ("amel", "bastien"):
        house.as_courier(login)
    phone = await open_as("amel", "/ma-tournee?date=2026-11-24", **PHONE)
    await expect(phone.get_by_text("ajouté après la publication").first).to_be_attached()
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone = await open_as("bastien", "/ma-tournee?date=2026-11-24", **PHONE)
    await expect(phone.get_by_text("Toutes ses livraisons sont passées à d'autres tournées.")).to_be_visible()


async def test_half_a_sentence_is_refused_with_what_is_missing(house: House, open_as: OpenAs) -> None:
    await two_rounds(house, 2)
    page = await open_as("regie-erdre", "/tableau/reajustement?date=2026-11-24", java_script_enabled=False)
    await page.get_by_label("A du retard").select_option(index=1)
    await page.get_by_role("button", name="Voir la proposition").click()
    await expect(page.get_by_role("alert")).to_have_text("Pour un retard, choisissez qui et donnez les minutes.")
    await expect(page.get_by_label("A du retard")).not_to_have_value("")


async def test_a_day_without_published_rounds_says_what_to_do(house: House, open_as: OpenAs) -> None:
    house.as_dispatcher()
    page = await open_as("regie-erdre", "/tableau/reajustement?date=2026-11-24", java_script_enabled=False)
    await expect(page.get_by_text("calculez et publiez d'abord un plan")).to_be_visible()


async def test_who_rides_no_more_is_told_and_called_back_by_a_form(house: House) -> None:
    await two_rounds(house, 2)
    chloe = await hire(house, "erdre", "chloe")
    pinned = [f"{order_id(number)}-1" for number in (1, 2)]
    replan = await proposed(house, lost=[loss_of(chloe)], pinned=pinned)
    board = in_session(house, "regie-erdre")
    proposal = f"/tableau/reajustement/{replan['id']}"
    page = (await board.get(proposal)).text
    # Nothing else changes, and yet there is something to accept.
    assert "Rien n'a besoin de changer." in page.replace("&#39;", "'")
    assert "Accepter et prévenir les coursiers" in page
    assert (await board.post(proposal)).status_code == 303
    assert "Chloe ne roule plus :" in (await board.get(FORM)).text
    assert "ne roule plus</span>" in (await board.get(BOARD)).text
    answer = await board.post(f"/tableau/reajustement/vacations/{chloe['id']}/reprise", data={"date": "2026-11-24"})
    assert (answer.status_code, answer.headers["location"]) == (303, FORM)
    assert "Chloe ne roule plus" not in (await board.get(FORM)).text
    gone = await board.post("/tableau/reajustement/vacations/nonsense/reprise", data={"date": "2026-11-24"})
    assert (gone.status_code, 'role="alert"' in gone.text) == (409, True)


async def test_a_day_that_nothing_can_change_offers_no_form(house: House) -> None:
    await two_rounds(house, 2)
    page = (await in_session(house, "regie-erdre").get(FORM)).text
    assert "Voir la proposition" in page
    assert "Placer aussi les livraisons à planifier (aucune pour l" in page
    clock.set_now(at(11))
    for login in ("amel", "bastien"):
        for stop in await stops_of(house, login):
            await report(house, login, stop, "complete", datetime.fromisoformat(stop["starts_at"]))
    page = (await in_session(house, "regie-erdre").get(FORM)).text
    assert "Voir la proposition" not in page
    assert "Toutes les tournées du 24/11/2026 sont terminées" in page
    clock.set_now(at(9) + timedelta(days=1))
    board = in_session(house, "regie-erdre")
    answer = await board.post("/tableau/reajustement", data={"date": "2026-11-24"})
    assert answer.status_code == 409
    for page in ((await board.get(FORM)).text, answer.text):
        assert page.count("Le 24/11/2026 est passé") == 1
