"""The pages as a browser without script sees them: plain forms, sent and answered."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from services.contracts.billing.v1 import events_pb2 as billing
from services.contracts.dispatch.v1 import events_pb2 as dispatch
from services.kit import clock
from tests.orders.builders import CONTRACT, LAUNDRY, NOW, SCHOOL
from tests.orders.conftest import House
from tests.orders.requests import exchange_body, order_body, request_body


@pytest.fixture
async def visitor(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """The department's browser, logged in."""
    async with visiting(house, "proprete") as client:
        yield client


def visiting(house: House, login: str) -> httpx.AsyncClient:
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    return house.client(cookies=house.session_of(login), headers=headers)


def text_of(answer: httpx.Response) -> str:
    """What is read on a page, in one line."""
    body = re.sub(r"<(head|style)\b.*?</\1>", " ", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def values_of(answer: httpx.Response) -> dict[str, str]:
    """The hidden and text values that a browser would send back."""
    inputs = re.findall(r"<input [^>]*>", answer.text)
    values = {}
    for each in inputs:
        attributes = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', each)}
        if attributes.get("type") not in ("radio", "checkbox") and "name" in attributes:
            values[attributes["name"]] = attributes.get("value", "")
    return values


ONE_OFF = {"from_site": LAUNDRY, "to_site": SCHOOL, "load_kind_1": "ballot-linge", "load_count_1": "3"}
RECURRING = {
    **ONE_OFF,
    "title": "Linge",
    "flow": "exchange",
    "weekday": ["TU", "FR"],
    "rhythm": "weekly",
    "holidays": "skip",
}


async def test_pages_are_for_people_who_have_logged_in_and_may_read_orders(house: House) -> None:
    async with house.client(headers={"Accept": "text/html"}) as nobody:
        answer = await nobody.get("/demandes?du=2026-11-01")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/connexion?suite=%2Fdemandes")


async def test_a_one_off_order_is_placed_from_the_form_and_only_once(house: House, visitor: httpx.AsyncClient) -> None:
    form = await visitor.get("/demandes/ponctuelle")
    sent = {**values_of(form), **ONE_OFF, "flow": "one_way", "note": "sonner"}
    answers = [await visitor.post("/demandes/ponctuelle", data=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"].split("?")[0] == answers[1].headers["location"]
    page = await visitor.get(answers[0].headers["location"])
    assert "Commande passée." in text_of(page)
    assert "3 × ballot de linge" in text_of(page)
    listed = text_of(await visitor.get("/demandes"))
    assert "CMD-2026-000001" in listed
    assert "○ demandée" in listed


async def test_all_faults_are_told_at_their_fields_and_nothing_typed_is_lost(visitor: httpx.AsyncClient) -> None:
    form = await visitor.get("/demandes/ponctuelle")
    sent = {
        **values_of(form),
        **ONE_OFF,
        "flow": "exchange",
        "to_site": LAUNDRY,
        "load_count_1": "80",
        "pickup_end": "xx",
    }
    sent |= {"note": "<b>par la cour</b>", "client_reference": "L-1"}
    answer = await visitor.post("/demandes/ponctuelle", data=sent)
    assert answer.status_code == 422
    text = text_of(answer)
    assert "4 points à corriger" in text
    assert "Enlèvement : Indiquez une heure, par exemple 08:30." in text
    assert "&lt;b&gt;par la cour&lt;/b&gt;" in answer.text
    answer = await visitor.post("/demandes/ponctuelle", data={**sent, "pickup_end": "10:00", "drop_end": "10:00 "})
    text = text_of(answer)
    assert "À : ✖" not in text
    assert "8,0 vélos" in text
    for name in ("to_site", "load_kind_1"):
        assert re.search(
            rf'<select id="{name}" name="{name}" aria-invalid="true" aria-describedby="{name}-faute"', answer.text
        )
        assert f'id="{name}-faute"' in answer.text
        assert f'href="#{name}"' in answer.text


async def test_faults_of_reading_and_of_judging_are_told_together(visitor: httpx.AsyncClient) -> None:
    form = await visitor.get("/demandes/ponctuelle")
    sent = {**values_of(form), **ONE_OFF, "flow": "one_way", "from_site": "", "load_count_1": "80"}
    text = text_of(await visitor.post("/demandes/ponctuelle", data=sent))
    assert "2 points à corriger" in text
    assert "Choisissez le site d'enlèvement." in text
    assert "8,0 vélos" in text


async def test_a_recurring_request_shows_its_first_dates_before_it_is_saved(
    house: House, visitor: httpx.AsyncClient
) -> None:
    form = await visitor.get("/demandes/recurrente")
    sent = {**values_of(form), **RECURRING}
    unseen = await visitor.post("/demandes/recurrente", data={**sent, "action": "save", "shown": "guessed"})
    assert "Vérifiez avant d'enregistrer" in text_of(unseen)
    preview = await visitor.post("/demandes/recurrente", data={**sent, "action": "preview"})
    text = text_of(preview)
    assert "tous les mardis et vendredis, 8 h–10 h, sauf jours fériés" in text
    assert "Les 5 premières dates" in text
    assert text.count("✓ maintenue") == 5
    shown = values_of(preview)["shown"]
    changed = await visitor.post(
        "/demandes/recurrente", data={**sent, "weekday": ["MO"], "action": "save", "shown": shown}
    )
    assert "tous les lundis" in text_of(changed)
    async with house.as_department() as client:
        assert (await client.get("/v1/recurring-requests")).json()["items"] == []
    saved = await visitor.post("/demandes/recurrente", data={**sent, "action": "save", "shown": shown})
    again = await visitor.post("/demandes/recurrente", data={**sent, "action": "save", "shown": shown})
    assert (saved.status_code, again.status_code) == (303, 303)
    assert again.headers["location"] == saved.headers["location"].split("?")[0]
    page = text_of(await visitor.get(saved.headers["location"]))
    assert "Demande enregistrée" in page
    assert "CMD-2026-000001" in page
    assert "Linge" in text_of(await visitor.get("/demandes/recurrentes"))


async def test_rhythms_become_rules(visitor: httpx.AsyncClient) -> None:
    form = await visitor.get("/demandes/recurrente")
    base = {**values_of(form), **RECURRING, "action": "preview"}
    rhythms: list[tuple[dict[str, Any], str]] = [
        ({"rhythm": "fortnightly", "weekday": ["WE"]}, "une semaine sur deux, le mercredi"),
        ({"rhythm": "monthly", "month_day": "15"}, "le 15 de chaque mois"),
        ({"rhythm": "rule", "rule": "freq=monthly;byday=1mo"}, "le premier lundi de chaque mois"),
        ({"pickup_day": "before", "pickup_start": "18:00", "pickup_end": "20:00"}, "18 h–20 h"),
    ]
    for change, sentence in rhythms:
        assert sentence in text_of(await visitor.post("/demandes/recurrente", data={**base, **change}))
    faults: list[tuple[dict[str, Any], str]] = [
        ({"weekday": []}, "Cochez au moins un jour"),
        ({"rhythm": "rule", "rule": "FREQ=DAILY;BYHOUR=8"}, "BYHOUR n'est pas pris en charge"),
        ({"holidays": "keep", "closed_days": "24/12/2026"}, "n'ont aucun effet"),
        ({"exception_dates": "25/11/2026"}, "n'est pas une échéance"),
        ({"title": ""}, "Donnez un nom"),
    ]
    for change, sentence in faults:
        answer = await visitor.post("/demandes/recurrente", data={**base, **change})
        assert answer.status_code == 422
        assert sentence in text_of(answer)


async def test_an_order_shows_its_history_and_can_be_cancelled_unless_it_changed(
    house: House, visitor: httpx.AsyncClient
) -> None:
    async with house.as_department() as client:
        order = (await client.post("/v1/orders", json=exchange_body())).json()
    path = f"/demandes/{order['id']}"
    page = await visitor.get(path)
    assert "annulation sans frais jusqu'au" in text_of(page)
    stale = await visitor.post(f"{path}/annulation", data={"version": "7", "reason": "x"})
    assert stale.status_code == 422
    assert "a changé entre-temps" in text_of(stale)
    clock.set_now(NOW + timedelta(hours=30))
    assert "Il est trop tard pour annuler l'aller sans frais" in text_of(await visitor.get(path))
    done = await visitor.post(f"{path}/annulation", data={**values_of(page), "leg": "1", "reason": "école fermée"})
    assert done.headers["location"] == f"{path}?fait=annulation"
    text = text_of(await visitor.get(done.headers["location"]))
    assert "annulation en cours" in text
    assert "école fermée" in text
    again = await visitor.post(f"{path}/annulation", data={"version": "2", "leg": "1", "reason": ""})
    assert "est déjà demandée" in text_of(again)


async def test_windows_and_note_are_changed_from_the_orders_page(house: House, visitor: httpx.AsyncClient) -> None:
    async with house.as_department() as client:
        order = (await client.post("/v1/orders", json=exchange_body())).json()
    path = f"/demandes/{order['id']}"
    shown = values_of(await visitor.get(path))
    change = {**shown, "pickup_start": "07:00", "note": "par la cour"}
    done = await visitor.post(f"{path}/modification", data=change)
    assert done.status_code == 303
    text = text_of(await visitor.get(done.headers["location"]))
    assert "7 h–10 h" in text
    assert "par la cour" in text
    stale = await visitor.post(f"{path}/modification", data=change)
    assert "a changé entre-temps" in text_of(stale)
    early = {**change, "version": "2", "return_pickup_start": "05:00", "return_pickup_end": "06:00"}
    refused = await visitor.post(f"{path}/modification", data=early)
    assert refused.status_code == 422
    assert "Le retour commence avant que l'aller puisse être livré" in text_of(refused)
    clock.set_now(NOW + timedelta(hours=30))
    assert "Modifier les créneaux" not in text_of(await visitor.get(path))
    late = await visitor.post(f"{path}/modification", data={**change, "version": "2"})
    assert "pouvait être modifié jusqu'au 25/11/2026" in text_of(late)


async def test_a_refused_order_says_why_with_the_figures(house: House, visitor: httpx.AsyncClient) -> None:
    async with house.as_department() as client:
        order = (await client.post("/v1/orders", json=order_body())).json()
    event = billing.HoldRefused(
        order_id=order["id"], reason_code="c", reason="Le plafond est atteint.", asked_cents=123_450, left_cents=99
    )
    event.refused_at.FromDatetime(NOW)
    await asyncio.to_thread(house.tell, event)
    text = text_of(await visitor.get(f"/demandes/{order['id']}"))
    assert "Le plafond est atteint. Demandé : 1 234,50 € HT ; disponible : 0,99 € HT." in text
    assert "✕ refusée" in text_of(await visitor.get("/demandes?etat=refused"))
    assert "Aucune commande ne correspond" in text_of(await visitor.get("/demandes?etat=delivered"))
    found = await visitor.get(f"/demandes?du=2030-01-01&reference={order['reference'].lower()}")
    assert "✕ refusée" in text_of(found)


async def test_an_order_leads_to_the_couriers_photos(house: House, visitor: httpx.AsyncClient) -> None:
    async with house.as_department() as client:
        order = (await client.post("/v1/orders", json=order_body())).json()
    photo = "01890a5d-ac96-774b-bcce-b302099a8057"
    report = dispatch.StopCompleted(order_id=order["id"], leg=1, stop_kind=dispatch.STOP_KIND_DROP, proof_ids=[photo])
    report.completed_at.FromDatetime(NOW)
    await asyncio.to_thread(house.tell, report)
    page = await visitor.get(f"/demandes/{order['id']}")
    assert f'href="/v1/proofs/{photo}"' in page.text


async def test_a_contract_near_its_ceiling_is_told_on_the_list(house: House, visitor: httpx.AsyncClient) -> None:
    event = billing.CeilingNearlyReached(
        contract_id=CONTRACT, threshold_percent=80, ceiling_cents=500_000, left_cents=100_000
    )
    event.crossed_at.FromDatetime(NOW)
    await asyncio.to_thread(house.tell, event)
    assert "80 % du montant maximum sont engagés" in text_of(await visitor.get("/demandes"))


async def test_another_departments_pages_do_not_exist(house: House) -> None:
    async with house.as_department() as client:
        order = (await client.post("/v1/orders", json=order_body())).json()
        request = (await client.post("/v1/recurring-requests", json=request_body())).json()
    async with visiting(house, "voirie") as stranger:
        for path in (
            f"/demandes/{order['id']}",
            f"/demandes/recurrentes/{request['id']}",
            f"/demandes/sites/{LAUNDRY}",
        ):
            assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(f"/demandes/{order['id']}/annulation", data={})).status_code == 404
        assert (await stranger.post(f"/demandes/recurrentes/{request['id']}/fin", data={})).status_code == 404
        assert "CMD-" not in (await stranger.get("/demandes?du=")).text
        assert "CMD-" not in (await stranger.get(f"/calendrier?site={SCHOOL}")).text
        form = await stranger.get("/demandes/ponctuelle")
        sent = {**values_of(form), **ONE_OFF, "flow": "one_way", "id": order["id"]}
        taken = await stranger.post("/demandes/ponctuelle", data=sent)
        assert taken.status_code == 422  # neither the other's order nor a crash


async def test_a_recurring_request_is_suspended_resumed_and_ended_from_its_page(
    house: House, visitor: httpx.AsyncClient
) -> None:
    async with house.as_department() as client:
        request = (await client.post("/v1/recurring-requests", json=request_body())).json()
    path = f"/demandes/recurrentes/{request['id']}"

    async def send(what: str, **fields: str) -> httpx.Response:
        version = values_of(await visitor.get(path))["version"]
        return await visitor.post(f"{path}/{what}", data={"version": version, **fields})

    paused = await send("suspension", since="2026-12-01", until="2026-12-11")
    assert "Demande suspendue : 4 commandes annulées sans frais" in text_of(
        await visitor.get(paused.headers["location"])
    )
    assert "Une suspension court déjà" in text_of(await send("suspension", since="2026-12-02"))
    resumed = await send("reprise", on="2026-12-08")
    assert "2 commandes à nouveau passées" in text_of(await visitor.get(resumed.headers["location"]))
    ended = await send("fin", last_date="2026-12-11")
    assert "Demande terminée : 4 commandes annulées sans frais" in text_of(await visitor.get(ended.headers["location"]))
    stale = await visitor.post(f"{path}/fin", data={"version": "1", "last_date": "2026-12-01"})
    assert "a changé entre-temps" in text_of(stale)


async def test_sites_are_registered_and_edited(visitor: httpx.AsyncClient) -> None:
    form = values_of(await visitor.get("/demandes/sites/nouveau"))
    site = {**form, "name": "Crèche", "address": "3 rue Haute", "latitude": "-1,55", "longitude": "47,2"}
    refused = await visitor.post("/demandes/sites/nouveau", data=site)
    assert refused.status_code == 422
    assert "n'est pas échangée avec la longitude" in text_of(refused)
    done = await visitor.post("/demandes/sites/nouveau", data={**site, "latitude": "47,2", "longitude": "-1,55"})
    assert done.status_code == 303
    listing = await visitor.get(done.headers["location"])
    assert "Site enregistré." in text_of(listing)
    link = re.search(r'href="(/demandes/sites/[0-9a-f-]{36})">Crèche', listing.text)
    assert link is not None
    shown = await visitor.get(link[1])
    edited = await visitor.post(link[1], data={**values_of(shown), "access_note": "quai arrière"})
    assert edited.status_code == 303
    assert "quai arrière" in text_of(await visitor.get("/demandes/sites"))
    stale = await visitor.post(link[1], data={**values_of(shown), "name": "x"})
    assert "a changé entre-temps" in text_of(stale)


async def test_the_calendar_shows_a_month_a_week_and_one_site(house: House, visitor: httpx.AsyncClient) -> None:
    async with house.as_department() as client:
        await client.post("/v1/recurring-requests", json=request_body())
    november = await visitor.get("/calendrier")
    assert "Novembre 2026" in text_of(november)
    assert november.text.count('class="entry') == 6  # 27 November, and 1 and 4 December in the last row; out and back
    december = text_of(await visitor.get("/calendrier?mois=2026-12"))
    assert "Noël" in december
    week = await visitor.get(f"/calendrier?semaine=2026-W49&site={SCHOOL}")
    assert "Semaine du 30 novembre 2026" in text_of(week)
    assert week.text.count('class="entry') == 4
    assert "entry" not in (await visitor.get("/calendrier?site=nowhere")).text
    for wrong in ("mois=2026-13", "semaine=2026-W54", "semaine=2026-W53x"):
        assert (await visitor.get(f"/calendrier?{wrong}")).status_code == 200


async def test_an_administrator_reads_everything_and_is_told_where_to_order(house: House) -> None:
    async with house.as_department() as client:
        order = (await client.post("/v1/orders", json=order_body())).json()
    async with visiting(house, "admin") as admin:
        listed = text_of(await admin.get("/demandes"))
        assert order["reference"] in listed
        assert "Propreté" in listed
        assert (await admin.get(f"/demandes/{order['id']}")).status_code == 200
        refused = await admin.get("/demandes/ponctuelle")
        assert refused.status_code == 403
        assert "compte de service" in text_of(refused)


async def test_long_lists_go_on_on_the_next_page(house: House, visitor: httpx.AsyncClient) -> None:
    async with house.as_department() as client:
        for number in range(6):
            body = request_body(title=f"Linge {number}", flow="one_way", legs=request_body()["legs"][:1])
            await client.post("/v1/recurring-requests", json=body)
    first = await visitor.get("/demandes")
    link = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert link is not None
    second = await visitor.get(unescape(link[1]))
    references = re.findall(r"CMD-2026-\d{6}", first.text + second.text)
    assert len(references) == len(set(references)) == 54
