"""The pages in a real browser: by keyboard alone, without script, on a phone."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.orders.builders import LAUNDRY, SCHOOL
from tests.orders.conftest import House
from tests.orders.requests import order_body, request_body

PHONE = ViewportSize(width=390, height=844)
PAGES = ("/demandes", "/demandes/ponctuelle", "/demandes/recurrente", "/calendrier", "/demandes/sites")
DESK = ViewportSize(width=1280, height=900)


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    """Where the house answers a browser."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


async def open_page(
    browser: Browser, house: House, address: str, *, script: bool = True, size: ViewportSize = DESK
) -> Page:
    context = await browser.new_context(
        java_script_enabled=script, viewport=size, locale="fr-FR", timezone_id="Europe/Paris"
    )
    for name, value in house.session_of("proprete").items():
        await context.add_cookies([{"name": name, "value": value, "url": address}])
    page = await context.new_page()
    page.set_default_timeout(10_000)
    return page


async def tab_to(page: Page, selector: str) -> None:
    """Walk with the Tab key until this element has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"the Tab key never reaches {selector}")


async def test_a_recurring_request_is_made_by_keyboard_alone(browser: Browser, house: House, address: str) -> None:
    page = await open_page(browser, house, address)
    await page.goto(f"{address}/demandes")
    await tab_to(page, "a[href='/demandes/recurrente']")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/demandes/recurrente")
    await tab_to(page, "#title")
    await page.keyboard.type("Linge de la crèche")
    await tab_to(page, "input[value=TU]")
    await page.keyboard.press("Space")
    await tab_to(page, "input[value=FR]")
    await page.keyboard.press("Space")
    await tab_to(page, "#from_site")
    await page.keyboard.type("Blanch")
    await tab_to(page, "#to_site")
    await page.keyboard.press("End")
    await tab_to(page, "#load_kind_1")
    await page.keyboard.type("ballot")
    await tab_to(page, "#load_count_1")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("3")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Vérifiez avant d'enregistrer")).to_be_visible()
    await expect(page.locator(".dates li")).to_have_count(5)
    await tab_to(page, "button[value=save]")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Demande enregistrée")
    await expect(page.locator("tbody tr")).to_have_count(10)


async def test_everything_works_without_script(browser: Browser, house: House, address: str) -> None:
    page = await open_page(browser, house, address, script=False)
    await page.goto(f"{address}/demandes/ponctuelle")
    await page.select_option("#from_site", LAUNDRY)
    await page.select_option("#to_site", SCHOOL)
    await page.select_option("#load_kind_1", "ballot-linge")
    await page.get_by_role("button", name="Commander").click()
    await expect(page.get_by_role("status")).to_contain_text("Commande passée.")
    await page.fill("#reason", "essai")
    await page.get_by_role("button", name="Demander l'annulation").click()
    await expect(page.get_by_role("status")).to_contain_text("Annulation demandée.")


async def test_only_the_fields_that_are_called_for_are_shown(browser: Browser, house: House, address: str) -> None:
    page = await open_page(browser, house, address)
    await page.goto(f"{address}/demandes/recurrente")
    await expect(page.locator("#return_days")).to_be_visible()
    await page.check("input[value=one_way]")
    await expect(page.locator("#return_days")).to_be_hidden()
    await page.select_option("#rhythm", "rule")
    await expect(page.locator("#rule")).to_be_visible()
    await expect(page.locator("#weekday")).to_be_hidden()


async def test_an_error_leads_to_its_field(browser: Browser, house: House, address: str) -> None:
    page = await open_page(browser, house, address)
    await page.goto(f"{address}/demandes/ponctuelle")
    await page.get_by_role("button", name="Commander").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("3 points à corriger")
    await alert.get_by_role("link", name="Site de livraison").click()
    await expect(page.locator("#to_site")).to_be_focused()
    described = await page.locator("#to_site").get_attribute("aria-describedby")
    await expect(page.locator(f"#{described}")).to_contain_text("Choisissez le site de livraison.")


async def test_no_page_is_wider_than_a_phone_and_buttons_are_large_enough(
    browser: Browser, house: House, address: str
) -> None:
    async with house.as_department() as client:
        request = (await client.post("/v1/recurring-requests", json=request_body())).json()
        order = (await client.post("/v1/orders", json=order_body())).json()
    page = await open_page(browser, house, address, size=PHONE)
    for path in (*PAGES, f"/demandes/recurrentes/{request['id']}", f"/demandes/{order['id']}"):
        await page.goto(address + path)
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        small = await page.evaluate(
            """() => [...document.querySelectorAll('a.button, button, select, .entry')]
                  .filter(e => e.getBoundingClientRect().height > 0 && e.getBoundingClientRect().height < 32)
                  .map(e => e.outerHTML)"""
        )
        assert small == [], path


async def test_pages_ask_nobody_else_for_anything(browser: Browser, house: House, address: str) -> None:
    page = await open_page(browser, house, address)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    for path in PAGES:
        await page.goto(address + path)
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert complaints == []
