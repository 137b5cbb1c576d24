"""The kit's own pages in a real browser: by keyboard, on a phone, on paper, with nothing asked of other sites."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from playwright.async_api import Browser, Page

from tests.servers.parts import free_port


@asynccontextmanager
async def served(house: Any) -> AsyncIterator[str]:
    """Give an open house a real address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(house.app, port=port, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


def noted(page: Page, origin: str) -> list[str]:
    """Collect what a page complains of, and what it asks of other sites."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(origin) else complaints.append(request.url))
    return complaints


async def test_one_logs_in_and_out_by_keyboard_alone(house: Any, browser: Browser) -> None:
    secret = house.access.accounts.add("lea", name="Léa", roles=["secretary"])
    async with served(house) as origin:
        page = await browser.new_page()
        complaints = noted(page, origin)
        await page.goto(f"{origin}/cahier")
        assert await page.title() == "Connexion – Tournée"
        await page.keyboard.type("lea")
        await page.keyboard.press("Tab")
        await page.keyboard.type(secret)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{origin}/cahier")
        assert await page.inner_text("h1") == "Cahier"
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Aller au contenu"
        box = await page.locator(".skip").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "contenu"
        await page.focus("text=Se déconnecter")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{origin}/connexion")
    assert complaints == []


async def test_a_wrong_secret_is_told_beside_the_fields(house: Any, browser: Browser) -> None:
    async with served(house) as origin:
        page = await browser.new_page()
        await page.goto(f"{origin}/connexion")
        await page.fill("#login", "lea")
        await page.fill("#secret", "faux")
        await page.press("#secret", "Enter")
        await page.wait_for_selector("[role=alert]")
        assert await page.get_attribute("#secret", "aria-describedby") == "refus"
        assert await page.evaluate("document.activeElement.id") == "secret"
        assert await page.input_value("#login") == "lea"
        assert await page.input_value("#secret") == ""


async def test_pages_fit_a_phone_and_leave_the_frame_off_paper(house: Any, browser: Browser) -> None:
    secret = house.access.accounts.add("lea", name="Léa " + "x" * 60, roles=["secretary"])
    async with served(house) as origin:
        page = await browser.new_page(viewport={"width": 320, "height": 640})
        for path in ("/connexion", "/nulle-part"):
            await page.goto(origin + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.goto(f"{origin}/connexion")
        await page.fill("#login", "lea")
        await page.fill("#secret", secret)
        await page.press("#secret", "Enter")
        await page.wait_for_url(f"{origin}/")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        buttons = page.locator("button")
        for index in range(await buttons.count()):
            box = await buttons.nth(index).bounding_box()
            assert box is not None
            assert box["height"] >= 44
        await page.emulate_media(media="print")
        assert not await page.is_visible("header")
