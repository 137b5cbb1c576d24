import re
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from services.kit.http.access import SESSION_COOKIE
from tests.dispatch.builders import a_leg, amount_held, order_cancelled, order_id, order_placed
from tests.dispatch.conftest import House, checked, drafted, furnish, hire, ordered, published
from tests.dispatch.pages.conftest import OpenAs

DAY = "/tableau?date=2026-11-24"
PAGE = {"accept": "text/html"}


def in_session(house: House, login: str) -> httpx.AsyncClient:
    """Return a browser's client: a cookie instead of a token."""
    access = house.app.state.access
    token = access.tokens.issue(access.accounts.get(login), "session", seconds=600)
    return house.client(cookies={SESSION_COOKIE: token}, headers=PAGE)


async def a_board(house: House, login: str = "regie-erdre") -> httpx.AsyncClient:
    house.as_dispatcher()
    return in_session(house, login)


async def test_strangers_are_sent_to_the_log_in_page_and_couriers_away(house: House) -> None:
    answer = await house.client(headers=PAGE).get(DAY)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/connexion?suite=%2Ftableau")
    house.as_courier()
    assert (await in_session(house, "amel").get(DAY)).status_code == 403


async def test_a_day_is_planned_published_and_withdrawn_by_forms_alone(house: House) -> None:
    await furnish(house)
    await ordered(house, 2)
    await house.hear(order_placed(3, a_leg(needs_trailer=True)), amount_held(3))
    board = await a_board(house)
    asked = await board.post("/tableau/plans", data={"date": "2026-11-24", "seconds": "0.1"})
    assert (asked.status_code, asked.headers["location"]) == (303, f"{DAY}&fait=plan")
    plan = await drafted(house)
    page = (await board.get(DAY)).text
    assert "Brouillon" in page
    assert "Prévoyez un vélo avec remorque" in page
    published_ = await board.post(f"/tableau/plans/{plan['id']}/publication")
    assert published_.headers["location"] == f"{DAY}&fait=publication"
    page = (await board.get(published_.headers["location"])).text
    assert "Les tournées sont publiées" in page
    (round_,) = checked(await house.as_dispatcher().get("/v1/rounds"))["items"]
    paper = (await board.get(f"/tableau/tournees/{round_['id']}")).text
    assert "Tournée de Amel" in paper
    assert "Sonner à l&#39;accueil." in paper
    gone = await board.post(f"/tableau/tournees/{round_['id']}/retrait", data={"reason": "Grève <b>."})
    assert gone.status_code == 303
    page = (await board.get(DAY)).text
    assert "Grève &lt;b&gt;." in page


async def test_a_refusal_is_told_on_the_board(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    plan = await drafted(house)
    await house.hear(order_cancelled(1))
    board = await a_board(house)
    refused = await board.post(f"/tableau/plans/{plan['id']}/publication")
    assert refused.status_code == 409
    assert "Depuis ce calcul : la livraison C-0001 a été annulée" in refused.text
    assert "Tableau du" in refused.text


async def test_a_move_is_made_or_refused_by_a_form(house: House) -> None:
    shifts = await furnish(house)
    await ordered(house, 2)
    plan = await drafted(house)
    shifts["bastien"] = await hire(house, "erdre", "bastien")
    board = await a_board(house)
    address = f"/tableau/plans/{plan['id']}/deplacements"
    moved = {"delivery_id": f"{order_id(1)}-1", "shift_id": shifts["bastien"]["id"]}
    wrong = await board.post(address, data=moved | {"pickup_position": "2", "drop_position": "1"})
    assert (wrong.status_code, "avant d&#39;être enlevée" in wrong.text) == (409, True)
    done = await board.post(address, data=moved | {"pickup_position": "", "drop_position": ""})
    assert done.headers["location"] == f"{DAY}&fait=deplacement"


async def test_an_unchanged_board_is_not_sent_again(house: House) -> None:
    await published(house)
    board = await a_board(house)
    first = await board.get(DAY)
    again = await board.get(DAY, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    await house.hear(order_cancelled(1))
    assert (await board.get(DAY, headers={"If-None-Match": first.headers["ETag"]})).status_code == 200


async def test_a_board_shows_another_cooperatives_share_as_a_count(house: House) -> None:
    await furnish(house, "loire", "elise")
    await ordered(house, 3)
    plan = await drafted(house, by=house.as_dispatcher("loire"))
    checked(await house.as_dispatcher("loire").post(f"/v1/plans/{plan['id']}/publication"))
    await furnish(house, "erdre", "amel")
    page = (await (await a_board(house)).get(DAY)).text
    assert re.search(r"3 livraisons prises par Loire", page)
    assert "Elise" not in page
    assert (await (await a_board(house)).get(f"/tableau/tournees/{await a_round_id(house)}")).status_code == 404


async def a_round_id(house: House) -> str:
    (round_,) = checked(await house.as_administrator().get("/v1/rounds"))["items"]
    return str(round_["id"])


async def test_the_administration_sees_every_cooperative(house: House) -> None:
    await furnish(house, "erdre", "amel")
    await furnish(house, "loire", "elise")
    house.as_administrator()
    page = (await in_session(house, "admin").get(DAY)).text
    assert all(name in page for name in ("Amel", "Elise", "Erdre", "Loire"))


async def test_crew_and_shifts_are_kept_by_forms(house: House) -> None:
    await house.as_administrator().post("/v1/cooperatives", json={"id": "erdre", "name": "Erdre"})
    board = await a_board(house)
    assert "Enregistrez d'abord" in (await board.get("/tableau/vacations?date=2026-11-24")).text
    courier = {"name": "Zoé", "account": "zoe", "phone": "06"}
    assert (await board.post("/tableau/equipe/coursiers", data=courier)).status_code == 303
    bike = {"name": "Cargo", "kilos": "120,5".replace(",", "."), "litres": "700", "has_trailer": "true"}
    assert (await board.post("/tableau/equipe/velos", data=bike)).status_code == 303
    page = (await board.get("/tableau/equipe")).text
    assert "120,5\N{NO-BREAK SPACE}kg" in page
    dispatcher = house.as_dispatcher()
    (zoe,) = checked(await dispatcher.get("/v1/couriers"))["items"]
    (cargo,) = checked(await dispatcher.get("/v1/bikes"))["items"]
    shift = {
        "date": "2026-11-24",
        "courier_id": zoe["id"],
        "bike_id": cargo["id"],
        "starts": "22:00",
        "ends": "04:00",
        "depot": "Gare",
        "latitude": "47.217",
        "longitude": "-1.541",
    }
    assert (await board.post("/tableau/vacations", data=shift)).status_code == 303
    overlap = await board.post("/tableau/vacations", data=shift)
    assert overlap.status_code == 422
    assert "Zoé a déjà une vacation à ces heures" in overlap.text
    (kept,) = checked(await dispatcher.get("/v1/shifts"))["items"]
    assert (kept["starts_at"], kept["ends_at"]) == ("2026-11-24T21:00:00Z", "2026-11-25T03:00:00Z")
    copied = await board.post("/tableau/vacations/copie", data={"date": "2026-12-01", "source": "2026-11-24"})
    assert copied.headers["location"] == "/tableau/vacations?date=2026-12-01&fait=1"
    again = await board.post("/tableau/vacations/copie", data={"date": "2026-12-01", "source": "2026-11-24"})
    assert again.headers["location"].endswith("&fait=0")
    assert "Gare" in (await board.get("/tableau/vacations?date=2026-12-01")).text
    await board.post(f"/tableau/vacations/{kept['id']}/suppression", data={"date": "2026-11-24"})
    assert len(checked(await dispatcher.get("/v1/shifts"))["items"]) == 1
    gone = {"id": zoe["id"], "name": "Zoé", "account": "zoe"}
    await board.post("/tableau/equipe/coursiers", data=gone)
    assert "ne roule plus" in (await board.get("/tableau/equipe")).text
    refused = await board.post("/tableau/equipe/velos", data={"name": "X", "kilos": "900", "litres": "9000"})
    assert refused.status_code == 422
    assert "500 kg" in refused.text
    assert "3 000 litres" in refused.text


async def test_copied_shifts_keep_their_hours_when_clocks_change(house: House) -> None:
    await furnish(house, "erdre", "amel", starts_at="2026-10-24T05:00:00Z", ends_at="2026-10-24T11:00:00Z")
    board = await a_board(house)
    await board.post("/tableau/vacations/copie", data={"date": "2026-10-26", "source": "2026-10-24"})
    (copied,) = checked(await house.as_dispatcher().get("/v1/shifts?date=2026-10-26"))["items"]
    assert (copied["starts_at"], copied["ends_at"]) == ("2026-10-26T06:00:00Z", "2026-10-26T12:00:00Z")


@pytest.mark.parametrize("path", ["/tableau", "/tableau/equipe", "/tableau/vacations"])
async def test_nothing_on_a_page_is_written_where_scripts_and_styles_may_not_stand(house: House, path: str) -> None:
    await published(house)
    page = (await (await a_board(house)).get(f"{path}?date=2026-11-24" if "equipe" not in path else path)).text
    assert not re.search(r"\sstyle=|\son\w+=|<style", page)
    assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", page))


# In a browser --------------------------------------------------------------------------------------------------------


async def test_a_dispatcher_plans_and_publishes_with_the_keyboard(house: House, open_as: OpenAs) -> None:
    await furnish(house)
    await ordered(house, 2)
    house.as_dispatcher()
    page = await open_as("regie-erdre", DAY)
    await page.get_by_label("Durée (s)").fill("1")
    await page.get_by_role("button", name="Calculer un plan").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("Le calcul est demandé")
    publish = page.get_by_role("button", name="Publier 1 tournée")
    await expect(publish).to_be_visible(timeout=30_000)  # it comes without a reload
    await publish.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Les tournées sont publiées")).to_be_visible()
    summary = page.locator("details.panel > summary").first
    await summary.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("cell", name="Enlèvement : Blanchisserie").first).to_be_visible()


async def test_news_come_without_a_reload_and_open_lists_stay_open(house: House, open_as: OpenAs) -> None:
    await published(house)
    page = await open_as("regie-erdre", DAY)
    await page.locator("details.panel > summary").first.click()
    await house.hear(order_cancelled(1))
    cells = page.locator("details.panel[open] td", has_text="annulé")
    await expect(cells).to_have_count(2, timeout=30_000)
    await expect(page.locator("[data-a-jour]")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


async def test_a_lost_connection_is_shown(house: House, open_as: OpenAs) -> None:
    await published(house)
    page = await open_as("regie-erdre", DAY)
    await expect(page.locator("[data-carte], .carte-fond").first).to_be_visible()
    await page.route("**/tableau?*", lambda route: route.abort())
    await expect(page.get_by_text("connexion perdue")).to_be_visible(timeout=30_000)


async def test_without_script_the_board_says_the_same(house: House, open_as: OpenAs) -> None:
    await published(house)
    page = await open_as("regie-erdre", DAY, java_script_enabled=False)
    await expect(page.get_by_text("La carte demande JavaScript")).to_be_visible()
    await page.get_by_role("link", name="Ouvrir, imprimer").click()
    await expect(page.get_by_role("heading", name="Tournée de Amel")).to_be_visible()
    await page.get_by_label("Retirer la tournée, parce que").fill("Vélo volé.")
    await page.get_by_role("button", name="Retirer la tournée").click()
    await expect(page.get_by_text("La tournée est retirée")).to_be_visible()


async def test_every_field_has_a_name_and_the_page_no_sideways_scroll(house: House, open_as: OpenAs) -> None:
    await published(house)
    for path in (DAY, "/tableau/equipe", "/tableau/vacations?date=2026-11-24"):
        page = await open_as("regie-erdre", path, viewport={"width": 390, "height": 844})
        nameless: list[Any] = await page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]"
            ".filter(e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map(e => e.outerHTML)"
        )
        assert nameless == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
