import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from services.dispatch.domain.plan import Mark, PlanState
from services.dispatch.repository import plans
from services.kit import clock
from services.kit.http.access import SESSION_COOKIE
from tests.dispatch.builders import (
    CONTRACT,
    a_leg,
    a_told_visit,
    amount_held,
    at,
    contract_registered,
    order_cancelled,
    order_id,
    order_placed,
)
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


@pytest.mark.parametrize(
    "path",
    [
        *("tableau", "tableau/vacations", "tableau/reglages", "tableau/fermetures", "tableau/reajustement"),
        *("v1/plans", "v1/rounds", "v1/shifts", "v1/deliveries", "v1/closures", "v1/planning-settings"),
    ],
)
async def test_a_day_that_no_calendar_has_is_refused(house: House, path: str) -> None:
    client = house.as_dispatcher() if path.startswith("v1") else await a_board(house)
    for day in ("0001-01-01", "9999-12-31"):
        assert (await client.get(f"/{path}?date={day}")).status_code == 422


async def test_a_day_is_planned_published_and_withdrawn_by_forms_alone(house: House) -> None:
    await furnish(house)
    await ordered(house, 2)
    await house.hear(order_placed(3, a_leg(needs_trailer=True)), amount_held(3))
    board = await a_board(house)
    asked = await board.post("/tableau/plans", data={"date": "2026-11-24", "seconds": "1"})
    assert (asked.status_code, asked.headers["location"]) == (303, f"{DAY}&fait=plan")
    plan = await drafted(house)
    page = (await board.get(DAY)).text
    assert "Brouillon" in page
    assert "une remorque pour Amel" in page
    assert "Coursier par coursier" in page
    published_ = await board.post(f"/tableau/plans/{plan['id']}/publication")
    assert published_.headers["location"] == f"{DAY}&fait=publication"
    page = (await board.get(published_.headers["location"])).text
    assert "Les tournées sont publiées" in page
    (round_,) = checked(await house.as_dispatcher().get("/v1/rounds"))["items"]
    paper = (await board.get(f"/tableau/tournees/{round_['id']}")).text
    assert "Tournée d’Amel" in paper
    assert "Supprimer la vacation d’Amel" in (await board.get("/tableau/vacations?date=2026-11-24")).text
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


async def test_couriers_for_whom_the_same_reason_holds_share_a_line(house: House) -> None:
    await furnish(house, "erdre", "amel", "bastien")
    await ordered(house, 1, legs=[a_leg(needs_trailer=True)])
    await drafted(house)
    page = (await (await a_board(house)).get(DAY)).text
    assert page.count("<li><strong>Amel, Bastien</strong> : il manque une compétence ou un équipement</li>") == 1


async def two_rounds(house: House) -> None:
    """Two orders at nine o'clock sharp, and two couriers to ride them."""
    await furnish(house, "erdre", "amel", "bastien")
    await house.hear(contract_registered())
    for number, place in ((1, "blanchisserie"), (2, "jardin")):
        leg = a_leg(pickup=place)
        leg.pickup.CopyFrom(a_told_visit(place, at(9), at(9)))
        await house.hear(order_placed(number, leg), amount_held(number))


def offered(page: str) -> list[str]:
    """Return the rounds that a board's button would publish."""
    return re.findall(r'name="round_id" value="([^"]+)"', page)


async def test_what_has_changed_since_a_draft_is_marked_and_the_rest_published(house: House) -> None:
    await two_rounds(house)
    plan = await drafted(house)
    board = await a_board(house)
    page = (await board.get(DAY)).text
    assert "Publier 2 tournées" in page
    assert "Dépassé" not in page
    await house.hear(order_cancelled(1))
    page = (await board.get(DAY)).text
    assert "la livraison C-0001 a été annulée" in page
    assert page.count('<span class="badge bad">dépassée</span>') == 1
    assert "Publier 1 tournée<" in page
    address = f"/tableau/plans/{plan['id']}/publication"
    answer = await board.post(address, data={"round_id": offered(page)})
    assert answer.headers["location"] == f"{DAY}&fait=publication"
    (round_,) = checked(await house.as_dispatcher().get("/v1/rounds"))["items"]
    assert {stop["order_id"] for stop in round_["stops"]} == {order_id(2)}
    page = (await board.get(DAY)).text
    assert ("Dépassé" in page, "Publier" in page) == (True, False)


async def test_what_changes_between_a_look_and_the_click_is_refused(house: House) -> None:
    await two_rounds(house)
    plan = await drafted(house)
    board = await a_board(house)
    page = (await board.get(DAY)).text
    await house.hear(order_cancelled(1))
    refused = await board.post(f"/tableau/plans/{plan['id']}/publication", data={"round_id": offered(page)})
    assert (refused.status_code, "Publier 1 tournée<" in refused.text) == (409, True)
    assert checked(await house.as_dispatcher().get("/v1/rounds"))["items"] == []


async def test_a_draft_is_offered_without_what_another_plan_has_published(house: House) -> None:
    await two_rounds(house)
    first, second = await drafted(house), await drafted(house)
    board = await a_board(house)
    form = {"round_id": [first["rounds"][0]["id"]]}
    await board.post(f"/tableau/plans/{first['id']}/publication", data=form)
    page = (await board.get(DAY)).text
    assert "Publier 1 tournée<" in page
    answer = await board.post(f"/tableau/plans/{second['id']}/publication", data={"round_id": offered(page)})
    assert answer.status_code == 303
    assert len(checked(await house.as_dispatcher().get("/v1/rounds"))["items"]) == 2


async def test_a_draft_whose_shift_is_gone_is_marked(house: House) -> None:
    shift = (await furnish(house))["amel"]
    await ordered(house, 1)
    await drafted(house)
    board = await a_board(house)
    gone = await board.post(f"/tableau/vacations/{shift['id']}/suppression", data={"date": "2026-11-24"})
    assert gone.status_code == 303
    answer = await board.get(DAY)
    assert answer.status_code == 200
    assert "<strong>Amel</strong> : une vacation a changé" in answer.text
    assert offered(answer.text) == []


async def test_a_draft_whose_time_has_come_and_gone_is_marked(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    await drafted(house)
    clock.set_now(at(14))
    page = (await (await a_board(house)).get(DAY)).text
    assert "(livraison C-0001) est passé depuis" in page
    assert offered(page) == []


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


async def test_an_instruction_is_given_and_lifted_by_forms(house: House) -> None:
    shifts = await furnish(house, "erdre", "amel", "bastien")
    await ordered(house, 1)
    board = await a_board(house)
    delivery_id = f"{order_id(1)}-1"
    form = {
        "delivery_id": delivery_id,
        "skills": "Froid, clés du musée",
        "courier_id": shifts["bastien"]["courier_id"],
        "forbidden_courier_id": "",
        "reason": "Des <vaccins>.",
    }
    assert (await board.post("/tableau/consignes", data=form)).headers["location"] == f"{DAY}&fait=consigne"
    page = (await board.get(DAY)).text
    assert "Consigne de regie-erdre : « Des &lt;vaccins&gt;. »" in page
    assert '<span class="badge">clés du musée</span>' in page
    refused = await board.post("/tableau/consignes", data=form | {"reason": ""})
    assert (refused.status_code, "Dites pourquoi" in refused.text) == (409, True)
    empty = await board.post("/tableau/consignes", data={"delivery_id": delivery_id})
    assert empty.status_code == 409
    assert all(words in empty.text for words in ("Dites pourquoi", "Demandez une compétence"))  # each of both
    assert (await board.post("/tableau/consignes", data=form | {"delivery_id": "x"})).status_code == 404
    lifted = await board.post("/tableau/consignes/levee", data={"delivery_id": delivery_id})
    assert lifted.headers["location"] == f"{DAY}&fait=levee"
    assert "Consigne de" not in (await board.get(DAY)).text


async def test_a_computation_shows_how_it_goes_and_is_stopped_by_a_form(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    board = await a_board(house)
    plan = await drafted(house)
    address = f"/tableau/plans/{plan['id']}/arret"
    refused = await board.post(address)
    assert (refused.status_code, "il n&#39;y a rien à arrêter" in refused.text) == (409, True)
    with house.database.transaction() as tx:
        solving = replace(plans.get(tx, plan["id"]), state=PlanState.SOLVING)
        plans.save(tx, solving)
        plans.save_marks(tx, plan["id"], [Mark(0.1, 2, 1, 9_000), Mark(3.0, 1, 1, 8_100)])
    page = (await board.get(DAY)).text
    assert re.search(r"Meilleur plan trouvé :</strong> 1 livraison placée, 1 tournée, 8,1\Wkm", page)
    assert "Arrêter et garder" in page
    assert (await board.post(address)).headers["location"] == f"{DAY}&fait=arret"
    page = (await board.get(DAY)).text
    assert "Arrêt demandé" in page
    assert "Arrêter et garder" not in page
    with house.database.transaction() as tx:
        plans.save(tx, replace(solving, state=PlanState.DRAFT))
    page = (await board.get(DAY)).text
    assert '<polyline class="deliveries" points="20.0,0.0 20.0,0.0 600.0,0.0 600.0,0.0"/>' in page
    assert "Comment le calcul a avancé" in page


async def test_the_shares_of_a_contract_are_kept_by_a_form(house: House) -> None:
    await ordered(house, 1)
    house.as_administrator()
    admin = in_session(house, "admin")
    assert "2026-VELO-01" in (await admin.get("/tableau/equipe")).text
    form = {
        "contract_id": CONTRACT,
        "cooperative_id": ["erdre", "loire"],
        "least": ["30", "0"],
        "most": ["60.5", "100"],
    }
    assert (await admin.post("/tableau/equipe/parts", data=form)).status_code == 303
    kept = checked(await house.as_administrator().get(f"/v1/shares/{CONTRACT}"))["shares"]
    assert [(one["at_least_permille"], one["at_most_permille"]) for one in kept] == [(300, 605), (0, 1000)]
    refused = await admin.post("/tableau/equipe/parts", data=form | {"least": ["70", "40"]})
    assert (refused.status_code, "une part va de 0" in refused.text.lower()) == (422, True)
    board = await a_board(house)
    assert "Parts du marché" not in (await board.get("/tableau/equipe")).text
    assert (await board.post("/tableau/equipe/parts", data=form)).status_code == 403


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
    bike |= {"pieces": "", "percent": "110", "range_kilometres": "42.5", "skills": "Froid", "kind": "muscle"}
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
        "break_minutes": "45",
        "break_from": "23:30",
        "break_to": "01:00",
        "latitude": "47.217",
        "longitude": "-1.541",
    }
    assert (await board.post("/tableau/vacations", data=shift)).status_code == 303
    overlap = await board.post("/tableau/vacations", data=shift)
    assert overlap.status_code == 422
    assert "Zoé a déjà une vacation à ces heures" in overlap.text
    (kept,) = checked(await dispatcher.get("/v1/shifts"))["items"]
    assert (cargo["capacity_pieces"], cargo["speed_percent"], cargo["range_metres"]) == (None, 110, 42_500)
    assert (zoe["skills"], cargo["skills"], cargo["kind"]) == ([], ["froid"], "muscle")
    assert kept["breaks"] == [
        {"window_start": "2026-11-24T22:30:00Z", "window_end": "2026-11-25T00:00:00Z", "length_seconds": 2700}
    ]
    assert (kept["starts_at"], kept["ends_at"]) == ("2026-11-24T21:00:00Z", "2026-11-25T03:00:00Z")
    copied = await board.post("/tableau/vacations/copie", data={"date": "2026-12-01", "source": "2026-11-24"})
    assert copied.headers["location"] == "/tableau/vacations?date=2026-12-01&fait=1"
    again = await board.post("/tableau/vacations/copie", data={"date": "2026-12-01", "source": "2026-11-24"})
    assert again.headers["location"].endswith("&fait=0")
    page = (await board.get("/tableau/vacations?date=2026-12-01")).text
    assert "Gare" in page
    assert re.search(r"45\Wmin entre 23\Wh\W30 et 1\Wh", page)
    await board.post(f"/tableau/vacations/{kept['id']}/suppression", data={"date": "2026-11-24"})
    assert len(checked(await dispatcher.get("/v1/shifts"))["items"]) == 1
    gone = {"id": zoe["id"], "name": "Zoé", "account": "zoe"}
    await board.post("/tableau/equipe/coursiers", data=gone)
    assert "ne roule plus" in (await board.get("/tableau/equipe")).text
    refused = await board.post("/tableau/equipe/velos", data={"name": "X", "kilos": "900", "litres": "9000"})
    assert refused.status_code == 422
    assert "500 kg" in refused.text
    assert "3 000 litres" in refused.text


@pytest.mark.parametrize("nonsense", ["nan", "inf", "-inf", "1e308", "-1e308"])
async def test_what_is_no_figure_is_refused_by_forms_of_the_crew(house: House, nonsense: str) -> None:
    await furnish(house)
    await ordered(house, 1)
    board = await a_board(house)
    bike = {"name": "Cargo", "kilos": "120", "litres": "700", "range_kilometres": "40"}
    for field in ("kilos", "litres", "range_kilometres"):
        refused = await board.post("/tableau/equipe/velos", data=bike | {field: nonsense})
        assert (refused.status_code, "<html" in refused.text) == (422, True)
    house.as_administrator()
    shares = {
        "contract_id": CONTRACT,
        "cooperative_id": ["erdre", "loire"],
        "least": ["0", "0"],
        "most": ["100", "100"],
    }
    for field in ("least", "most"):
        refused = await in_session(house, "admin").post("/tableau/equipe/parts", data=shares | {field: ["0", nonsense]})
        assert refused.status_code == 422
    assert len(checked(await house.as_dispatcher().get("/v1/bikes"))["items"]) == 1


async def test_copied_shifts_keep_their_hours_when_clocks_change(house: House) -> None:
    await furnish(house, "erdre", "amel", starts_at="2026-10-24T05:00:00Z", ends_at="2026-10-24T11:00:00Z")
    board = await a_board(house)
    await board.post("/tableau/vacations/copie", data={"date": "2026-10-26", "source": "2026-10-24"})
    (copied,) = checked(await house.as_dispatcher().get("/v1/shifts?date=2026-10-26"))["items"]
    assert (copied["starts_at"], copied["ends_at"]) == ("2026-10-26T06:00:00Z", "2026-10-26T12:00:00Z")


@pytest.mark.parametrize(
    "path",
    [
        "/tableau",
        "/tableau/equipe",
        "/tableau/vacations",
        "/tableau/reglages",
        "/tableau/fermetures",
        "/tableau/comparaison",
    ],
)
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


async def test_what_is_being_entered_outlives_news(house: House, open_as: OpenAs) -> None:
    await published(house)
    page = await open_as("regie-erdre", DAY)
    await page.locator("details.panel > summary").first.click()
    await page.get_by_label("Retirer la tournée, parce que").fill("Vélo volé.")
    await page.locator("details.panel > summary").first.focus()  # to look at the round once more
    await house.hear(order_cancelled(1))
    await expect(page.locator("details.panel[open] td", has_text="annulé")).to_have_count(2, timeout=30_000)
    await page.get_by_role("button", name="Retirer", exact=True).click()
    await expect(page.get_by_text("La tournée est retirée")).to_be_visible()


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
    await expect(page.get_by_role("heading", name="Tournée d’Amel")).to_be_visible()
    await page.get_by_label("Retirer la tournée, parce que").fill("Vélo volé.")
    await page.get_by_role("button", name="Retirer la tournée").click()
    await expect(page.get_by_text("La tournée est retirée")).to_be_visible()


async def test_every_field_has_a_name_and_the_page_no_sideways_scroll(house: House, open_as: OpenAs) -> None:
    await published(house)
    for path in (
        DAY,
        "/tableau/equipe",
        "/tableau/vacations?date=2026-11-24",
        "/tableau/reglages",
        "/tableau/fermetures",
    ):
        page = await open_as("regie-erdre", path, viewport={"width": 390, "height": 844})
        nameless: list[Any] = await page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]"
            ".filter(e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map(e => e.outerHTML)"
        )
        assert nameless == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
