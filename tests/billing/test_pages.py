"""Finance's pages in a real browser, by keyboard, without a script."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, Page

from services.billing import use_cases
from services.billing.domain.contract import Contract
from services.billing.domain.statement import Month
from tests.billing.api.test_contracts import BODY
from tests.billing.builders import (
    a_contract,
    a_leg_to_price,
    an_order,
    cancelled,
    failed,
    handed_over,
    hold,
    register,
    settle,
)
from tests.billing.conftest import NOW, House
from tests.billing.test_explanation import a_corrected_month

SHOTS = os.environ.get("TOURNEE_SCREENSHOTS")
PASSWORD = "s" * 12


@dataclass
class Site:
    """The house at a real address."""

    house: House
    browser: Browser
    origin: str

    @asynccontextmanager
    async def page(self, login: str, *, width: int = 1100, script: bool = False) -> AsyncIterator[Page]:
        """Open a browser window of somebody who has logged in."""
        context = await self.browser.new_context(
            base_url=self.origin,
            viewport={"width": width, "height": 900},
            java_script_enabled=script,
            locale="fr-FR",
        )
        page = await context.new_page()
        await page.goto("/connexion?suite=/finances")
        await page.fill("#login", login)
        await page.fill("#secret", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{self.origin}/finances")
        yield page
        await context.close()


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"billing-{name}.png", full_page=True)


@pytest.fixture
async def site(house: House, browser: Browser) -> AsyncIterator[Site]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.app, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    accounts = house.app.state.access.accounts
    accounts.add("admin", name="Administration", roles=["administrator"], secret=PASSWORD)
    accounts.add("finances", name="Direction des finances", roles=["finance"], secret=PASSWORD)
    accounts.add("regie", name="Régulation", roles=["dispatcher"], claims={"cooperative": "loire"}, secret=PASSWORD)
    async with httpx.AsyncClient(base_url=origin) as client:
        for _ in range(100):
            try:
                await client.get("/connexion")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
    yield Site(house, browser, origin)
    server.should_exit = True
    await serving


def a_busy_contract(house: House) -> Contract:
    """A contract near its ceiling: legs of every outcome in November, one refused order."""
    contract = register(house.database, a_contract(starts_on=date(2026, 11, 1), ceiling_cents=12_000))
    orders = [
        an_order(
            contract,
            legs=[a_leg_to_price(1), a_leg_to_price(2)],
            reference=f"PRO-2026-{number:05d}",
            department_id="voirie" if number == 3 else "proprete",
        )
        for number in range(1, 6)
    ]
    for order in orders:
        hold(house.database, order)
    settle(house.database, handed_over(orders[0].id, 1, counted={"ballot-linge": 2}, note="Un ballot manquait."))
    settle(house.database, handed_over(orders[0].id, 2, proof_ids=("p-1",)))
    settle(house.database, failed(orders[1].id, 1))
    settle(house.database, cancelled(orders[1].id, 2, is_late=True))
    settle(house.database, handed_over(orders[2].id, 1, cooperative_id="loire"))
    return contract


def close_november(house: House, contract: Contract) -> list[str]:
    with house.database.transaction() as tx:
        closing = use_cases.close_month(tx, contract.id, Month(2026, 11), at=NOW)
    return [statement.id for statement in closing.statements]


async def test_finance_sees_the_gauge_and_closes_the_month_by_keyboard(site: Site) -> None:
    contract = a_busy_contract(site.house)
    async with site.page("finances") as page:
        await shoot(page, "finances-before")
        gauge = await page.get_by_role("meter").bounding_box()
        assert gauge is not None
        assert gauge["width"] > 500  # our style sheet is there
        text = await page.locator("main").inner_text()
        plain = text.replace("\u202f", " ").replace("\xa0", " ")
        assert contract.title in plain
        assert "Le seuil d'alerte de 50 % est franchi." in plain
        assert "Dernières commandes refusées (1)" in plain
        month = page.get_by_label("Mois à clôturer")
        assert await month.input_value() == "2026-11"
        await month.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/finances?clos=2026-11")
        assert "Le mois de novembre 2026 est clos" in await page.get_by_role("status").inner_text()
        assert await page.get_by_role("link", name="2026-00001").count() >= 2
        await shoot(page, "finances-after")


async def test_a_statement_shows_why_each_leg_costs_what_it_costs(site: Site) -> None:
    contract = a_busy_contract(site.house)
    erdre, _ = close_november(site.house, contract)
    async with site.page("finances") as page:
        await page.goto(f"/finances/etats/{erdre}")
        plain = (await page.locator("main").inner_text()).replace("\u202f", " ").replace("\xa0", " ")
        assert "État n° 2026-00001, novembre 2026" in plain
        assert "compté 2 au lieu de 3" in plain
        assert "échec facturé" in plain
        assert "Site fermé" in plain
        assert "33,45 €" in plain
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Télécharger le CSV").click()
        assert (await download.value).suggested_filename == "etat-erdre-2026-00001.csv"
        await page.reload()
        assert "Direction des finances" in await page.locator("table").last.inner_text()
        await shoot(page, "statement")
    async with site.page("finances", width=390) as phone:
        await phone.goto(f"/finances/etats/{erdre}")
        await shoot(phone, "statement-phone")
        assert await phone.evaluate("document.documentElement.scrollWidth <= 390")


async def test_a_leg_is_explained_to_the_cent(site: Site) -> None:
    _, first, second = a_corrected_month(site.house.database)
    async with site.page("finances") as page:
        await page.goto(f"/finances/etats/{first.id}")
        await shoot(page, "statement-revised")
        await page.get_by_role("link", name="C-000, trajet 1").click()
        plain = (await page.locator("main").inner_text()).replace("\u202f", " ").replace("\xa0", " ")
        assert "Facturé au coefficient de novembre 2026" in plain
        assert f"Régularisation sur l'état n° {second.number}" in plain
        assert "9,7052 €" in plain
        await shoot(page, "explanation")
        await page.goto(f"/finances/etats/{second.id}")
        await shoot(page, "statement-regularisation")
    async with site.page("finances", width=390) as phone:
        await phone.goto(f"/finances/etats/{first.id}")
        await phone.get_by_role("link", name="C-000, trajet 1").click()
        await shoot(phone, "explanation-phone")
        assert await phone.evaluate("document.documentElement.scrollWidth <= 390")


async def test_a_dispatcher_sees_statements_of_its_cooperative_and_no_gauge(site: Site) -> None:
    contract = a_busy_contract(site.house)
    erdre, loire = close_november(site.house, contract)
    async with site.page("regie") as page:
        assert await page.get_by_role("meter").count() == 0
        assert await page.get_by_role("link", name="2026-00001").first.get_attribute("href") == (
            f"/finances/etats/{loire}"
        )
        answer = await page.goto(f"/finances/etats/{erdre}")
        assert answer is not None
        assert answer.status == 404
        assert "Cet état n'existe pas" in await page.locator("main").inner_text()


async def test_an_administrator_registers_a_contract(site: Site) -> None:
    async with site.page("admin") as page:
        await page.get_by_role("link", name="Enregistrer un marché").click()
        await page.get_by_role("button", name="Enregistrer le marché").wait_for()
        await shoot(page, "contract-form")
        fields = {
            "reference": "2026-VELO-09",
            "title": "Transports à vélo",
            "starts_on": "2026-01-01",
            "ends_on": "2026-12-31",
            "ceiling": "90 000,00",
            "buyer_name": "Ville de Nantes",
            "buyer_siret": "90000030800017",
            "vat_source": "CGI, art. 278",
            "vat_percent": "5,5",
            "cooperative_id-0": "erdre",
            "cooperative_name-0": "Les Coursiers de l'Erdre",
            "cooperative_siret-0": "90000010000017",
            "cooperative_address-0": "4 quai de Versailles, Nantes",
            "department_id-0": "proprete",
            "department_name-0": "Propreté",
            "price_code-0": "COURSE",
            "price_label-0": "Course",
            "price_amount-0": "9,45",
        }
        for name, value in fields.items():
            await page.fill(f"#{name}", value)
        await page.get_by_role("button", name="Enregistrer le marché").click()
        alert = page.get_by_role("alert")
        assert "1 point à corriger" in await alert.inner_text()
        wrong = page.locator("#buyer_siret")
        assert await wrong.get_attribute("aria-invalid") == "true"
        assert await wrong.input_value() == "90000030800017"
        assert await page.locator("#price_amount-0").input_value() == "9,45"
        await shoot(page, "contract-form-fault")
        await wrong.fill("90000030800016")
        await page.get_by_role("button", name="Enregistrer le marché").click()
        await page.wait_for_url("**/finances?nouveau=*")
        assert "2026-VELO-09" in await page.locator("main").inner_text()
    async with site.house.finance() as finance:
        (contract,) = (await finance.get("/v1/contracts")).json()["items"]
        lists = (await finance.get(f"/v1/contracts/{contract['id']}/price-lists")).json()["items"]
    assert (contract["ceiling"], contract["vat_rates"][0]["percent"]) == ("90000.00", "5.5")
    assert lists[0]["lines"][0]["unit_price"] == "9.45"


async def test_the_form_tells_every_fault_beside_its_field(house: House) -> None:
    form = {
        "reference": "R",
        "title": "T",
        "starts_on": "bientôt",
        "ends_on": "2026-12-31",
        "ceiling": "beaucoup",
        "cutoff_hours": "-1",
        "failure_percent": "cent",
        "vat_percent": "vingt",
        "alert_percents": "50 bientôt",
        "cooperative_id": ["", "erdre"],
        "cooperative_name": ["", "Erdre"],
        "cooperative_siret": ["", ""],
        "price_amount": ["", "9,999"],
    }
    async with house.administrator() as admin:
        answer = await admin.post("/finances/contrats/nouveau", data=form, headers={"Accept": "text/html"})
    assert answer.status_code == 422
    for name in (
        *("starts_on", "ceiling", "cutoff_hours", "failure_percent", "vat_percent", "alert_percents", "buyer_name"),
        *("vat_source", "cooperative_siret-1", "cooperative_address-1", "price_code-1", "price_amount-1"),
    ):
        assert f'id="faute-{name}"' in answer.text, name


async def test_refusals_of_the_law_are_shown_beside_their_fields(house: House) -> None:
    form = {
        "reference": BODY["reference"],
        "title": "T",
        "buyer_name": "Ville",
        "buyer_siret": BODY["buyer"]["siret"],
        "starts_on": "2026-01-01",
        "ends_on": "2025-12-31",
        "ceiling": "0",
        "zone": "Europe/Nantes",
        "vat_source": "CGI",
        "alert_percents": "75 50",
        "cooperative_id": ["", "erdre", "", "erdre"],
        "cooperative_name": ["", "Erdre", "", "Erdre"],
        "cooperative_siret": ["", "90000010000017", "", "90000010000018"],
        "cooperative_address": ["", "Nantes", "", "Nantes"],
        "department_id": ["proprete"],
        "department_name": ["Propreté"],
    }
    async with house.administrator() as admin:
        answer = await admin.post("/finances/contrats/nouveau", data=form, headers={"Accept": "text/html"})
    assert answer.status_code == 422
    for name in ("ends_on", "ceiling", "zone", "alert_percents", "cooperative_siret-3", "cooperative_id-3"):
        assert f'id="faute-{name}"' in answer.text, name


async def test_pages_are_for_those_who_may_see_them(house: House) -> None:
    html = {"Accept": "text/html"}
    contract = register(house.database, a_contract(starts_on=date(2026, 11, 1)))
    async with house.client() as nobody:
        answer = await nobody.get("/finances", headers=html)
        assert (answer.status_code, answer.headers["location"]) == (303, "/connexion?suite=%2Ffinances")
    async with house.finance() as finance:
        assert (await finance.get("/finances/contrats/nouveau", headers=html)).status_code == 403
        early = await finance.post(
            f"/finances/contrats/{contract.id}/clotures", data={"month": "2026-12"}, headers=html
        )
        assert early.status_code == 409
        assert "n'est pas terminé" in early.text.replace("&#39;", "'")
    async with house.dispatcher(cooperative="erdre") as dispatcher:
        closing = await dispatcher.post(f"/finances/contrats/{contract.id}/clotures", data={"month": "2026-11"})
        assert closing.status_code == 403
