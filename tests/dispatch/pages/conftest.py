"""The service on a real port, and people who have logged in with a browser."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page

from services.kit.http.access import SESSION_COOKIE
from tests.dispatch.conftest import House

OpenAs = Callable[..., Awaitable[Page]]


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    """Where the running service answers."""
    server = uvicorn.Server(uvicorn.Config(house.app, port=0, lifespan="off", log_level="warning"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await running


@pytest.fixture
async def open_as(house: House, address: str, browser: Browser) -> AsyncIterator[OpenAs]:
    """`await open_as("amel", "/ma-tournee", viewport=…)` gives a page; what it complains of fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    foreign: list[str] = []

    async def open_page(login: str, path: str, **options: Any) -> Page:
        access = house.app.state.access
        token = access.tokens.issue(access.accounts.get(login), "session", seconds=600)
        context = await browser.new_context(locale="fr-FR", timezone_id="Europe/Paris", **options)
        contexts.append(context)
        await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if _is_own(request.url, address) else foreign.append(request.url))
        await page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not complaints
    assert not foreign


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))
