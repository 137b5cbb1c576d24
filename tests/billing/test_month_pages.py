"""Finance's pages of the month to come and of a closed statement: plain forms, no script."""

import re

import httpx
import pytest

from services.billing import queries
from services.billing.domain.contract import Contract
from services.billing.queries import Sight
from tests.billing.builders import a_contract, an_order, handed_over, hold, register, settle
from tests.billing.conftest import House


@pytest.fixture
def contract(house: House) -> Contract:
    return register(house.database, a_contract(verification_days=15))


def delivered(house: House, contract: Contract, reference: str, department_id: str = "proprete") -> str:
    placed = an_order(contract, reference=reference, department_id=department_id)
    hold(house.database, placed)
    settle(house.database, handed_over(placed.id))
    return placed.id


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    text = re.sub(r"<[^>]+>", " ", answer.text)
    return " ".join(text.replace("\u202f", " ").replace("\xa0", " ").replace("&#39;", "'").split())


async def send(finance: httpx.AsyncClient, path: str, **form: str) -> str:
    return text_of(await finance.post(path, data=form, follow_redirects=True))


async def test_a_month_is_verified_and_closed_by_forms_alone(house: House, contract: Contract) -> None:
    good, cut, bad = (delivered(house, contract, f"C-{number}") for number in range(3))
    roads = delivered(house, contract, "V-1", "voirie")
    month = {"mois": "2026-11", "vu": "0"}
    page = f"/finances/contrats/{contract.id}/mois?mois=2026-11"
    async with house.finance() as finance:
        shown = text_of(await finance.get(page))
        assert "Novembre 2026, à facturer" in shown
        assert "Facturés 4 50,40 €" in shown  # on 2 December silence has accepted what came on 16 November
        assert "La décision est enregistrée" in await send(finance, f"/finances/trajets/{good}/1/acceptation", **month)
        contested = {**month, "motif": "Porte fermée"}
        shown = await send(finance, f"/finances/trajets/{bad}/1/contestation", **contested)
        assert "contestés 1 12,60 €" in shown
        reduced = {**month, "motif": "Linge mouillé", "ligne": "LINGE", "montant": "1,60 €"}
        shown = await send(finance, f"/finances/trajets/{cut}/1/refaction", **reduced)
        assert "Réfaction de 1,60 € sur LINGE : Linge mouillé" in shown
        stale = await send(finance, f"/finances/trajets/{bad}/1/rejet", **contested)
        assert "Quelqu'un a décidé entre-temps" in stale
        rejected = await send(finance, f"/finances/trajets/{bad}/1/rejet", **{**contested, "vu": "1"})
        assert "contestés 0 0,00 €" in rejected
        filtered = text_of(await finance.get(f"{page}&service=voirie&etat=delivered"))
        assert ("V-1" in filtered, "C-0, trajet" in filtered) == (True, False)
        accepted = f"/finances/contrats/{contract.id}/mois/acceptations"
        assert "Tout ce qui n'était pas contesté est accepté" in await send(finance, accepted, mois="2026-11")
        shown = await send(finance, f"/finances/contrats/{contract.id}/clotures", month="2026-11")
        assert "est clos" in shown
    with house.database.view() as view:
        charge = queries.get_charge(view, Sight(), roads, 1)
        (statement,) = queries.list_statements(view, Sight(), limit=10)
    assert (charge.statement_number, charge.decisions) == ("2026-00001", 1)
    assert statement.net_cents == 3 * 1260 - 160


async def test_a_closed_statement_is_followed_credited_and_billed_anew(house: House, contract: Contract) -> None:
    first = delivered(house, contract, "C-0")
    delivered(house, contract, "C-1")
    async with house.finance() as finance:
        await send(finance, f"/finances/contrats/{contract.id}/clotures", month="2026-11")
        with house.database.view() as view:
            (statement,) = queries.list_statements(view, Sight(), limit=10)
        page = f"/finances/etats/{statement.id}"
        shown = text_of(await finance.get(page))
        assert "Échéance" in shown
        assert "mise à disposition non prouvée" in shown
        shown = await send(finance, f"{page}/statuts", statut="Mise à disposition", jour="2026-12-02")
        assert "30 jours à partir du mer. 2 déc. 2026" in shown
        credit = {"trajet": f"{first}/1", "montant": "2,60", "motif": "Compté deux fois"}
        shown = await send(finance, f"{page}/avoirs", **credit)
        assert "2026-00002" in shown
        assert "Compté deux fois" in shown
        told = {"statut": "Rejetée", "jour": "2026-12-02", "motif": "SIRET inconnu"}
        shown = await send(finance, f"{page}/statuts", **told)
        assert "INT-2026-00001 interne, non transmis" in shown
        shown = await send(finance, f"{page}/rectificatif")
        assert "État n° 2026-00003" in shown
        assert "Remplace l'état n° 2026-00001" in shown
        assert "Avoir déjà émis" in shown
        unreadable = {"trajet": f"{first}/1", "montant": "beaucoup", "motif": "x"}
        assert (await finance.post(f"{page}/avoirs", data=unreadable)).status_code == 422


async def test_without_days_to_verify_what_waits_is_of_today(house: House) -> None:
    contract = register(house.database, a_contract())
    async with house.finance() as finance:
        shown = text_of(await finance.get(f"/finances/contrats/{contract.id}/mois"))
    assert "En attente : constatés aujourd'hui" in shown
    assert "0 jour" not in shown


async def test_who_may_not_decide_sees_no_button(house: House, contract: Contract) -> None:
    order_id = delivered(house, contract, "C-0")
    reader = {"scopes": ["billing:read"], "is_machine": True}
    async with house.account("reader", **reader) as client:
        shown = await client.get(f"/finances/contrats/{contract.id}/mois")
        assert "C-0" in shown.text
        assert "Contester" not in shown.text
        answer = await client.post(f"/finances/trajets/{order_id}/1/acceptation", data={"mois": "2026-11", "vu": "0"})
        assert answer.status_code == 403
    async with house.finance(buyer="90000010000017") as other:
        assert (await other.get(f"/finances/contrats/{contract.id}/mois")).status_code == 404
