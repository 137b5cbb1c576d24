"""The map over HTTP and in a browser: ranges, attribution, keyboard, no foreign request, no WebGL."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Browser, Page, async_playwright
from pydantic import SecretStr
from sqlalchemy import MetaData

from services.dispatch.api.city import PROBLEMS, city_router
from services.dispatch.city import ATTRIBUTION, import_extract, streets_file
from services.kit.database import Database
from services.kit.events import add_lane_tables
from services.kit.jobs import add_lease_table
from services.kit.service import Service, assemble
from services.kit.settings import HouseSettings
from tests.dispatch.test_city import NODES, STREETS, SURROUNDINGS, an_extract
from tests.servers.chromium import Chromium
from tests.servers.parts import PROJECT

STATIC = PROJECT / "services" / "dispatch" / "static"
ROUNDS = [
    {"id": "a", "label": "Tournée A", "line": [[-1.554, 47.218], [-1.551, 47.219]], "estimated": True},
    {"id": "b", "label": "Tournée B", "line": [[-1.554, 47.218], [-1.5515, 47.2175]], "estimated": True},
]
STOPS: list[dict[str, Any]] = [
    {"round": None, "number": None, "kind": "depot", "label": "Dépôt", "longitude": -1.554, "latitude": 47.218},
    {"round": "a", "number": 1, "kind": "pickup", "label": "Mairie", "longitude": -1.551, "latitude": 47.219},
    {"round": "b", "number": 1, "kind": "drop", "label": "École", "longitude": -1.5515, "latitude": 47.2175},
    {"round": "b", "number": 2, "kind": "drop", "label": "École", "longitude": -1.5515, "latitude": 47.2175},
    {"round": None, "number": None, "kind": "left-out", "label": "Gymnase", "longitude": -1.553, "latitude": 47.219},
]


def a_page() -> HTMLResponse:
    stops = [stop | {"href": "#ligne-3" if stop["label"] == "Mairie" else None} for stop in STOPS]
    data = json.dumps({"rounds": ROUNDS, "stops": stops}, ensure_ascii=False)
    return HTMLResponse(
        '<!doctype html><html lang="fr"><head><title>Carte</title>'
        '<link rel="icon" href="/static/icone.svg">'
        '<link rel="stylesheet" href="/static/dispatch/vendor/maplibre-gl.css">'
        '<link rel="stylesheet" href="/static/dispatch/carte.css"></head><body><main>'
        '<div class="carte" data-carte="donnees" aria-label="Carte des tournées"></div>'
        f'<script type="application/json" id="donnees">{data}</script><p id="ligne-3">Mairie</p></main>'
        '<script type="module" src="/static/dispatch/carte.js"></script></body></html>'
    )


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def app(tmp_path: Path, data_dir: Path) -> AsyncIterator[FastAPI]:
    metadata = MetaData()
    add_lane_tables(metadata)
    add_lease_table(metadata)
    router = APIRouter()
    router.add_api_route("/page", a_page, methods=["GET"], include_in_schema=False)
    service = Service(
        name="dispatch",
        database=Database(f"sqlite:///{tmp_path}/dispatch.db", metadata),
        routers=[city_router(data_dir), router],
        hears={},
        problems=PROBLEMS,
        static=STATIC,
    )
    house = HouseSettings(
        secret_key=SecretStr("only-for-tests-" + "x" * 32),
        accounts=tmp_path / "accounts.json",
        bus_url=f"sqlite:///{tmp_path}/log.db",
    )
    app = assemble([service], house, topics=[])
    async with app.router.lifespan_context(app):
        yield app


def token(app: FastAPI) -> dict[str, str]:
    access = app.state.access
    access.accounts.add("somebody", scopes=["dispatch:read"], is_machine=True, secret="s" * 12)
    issued = access.tokens.issue(access.accounts.get("somebody"), "api", seconds=600)
    return {"Authorization": f"Bearer {issued}"}


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://city.example", headers=token(app)) as client:
        yield client


async def test_before_an_import_the_ground_is_plain(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ville/style.json")
    assert answer.status_code == 200
    assert answer.json()["sources"] == {}
    missing = await client.get("/ville/streets.pmtiles")
    assert (missing.status_code, missing.json()["code"]) == (404, "no-streets")
    assert "tournee city import" in missing.json()["detail"]


async def test_after_an_import_tiles_come_in_ranges(client: httpx.AsyncClient, tmp_path: Path, data_dir: Path) -> None:
    import_extract(an_extract(tmp_path, NODES, STREETS), data_dir)
    source = (await client.get("/ville/style.json")).json()["sources"]["city"]
    assert source == {"type": "vector", "url": "pmtiles:///ville/streets.pmtiles", "attribution": ATTRIBUTION}
    part = await client.get("/ville/streets.pmtiles", headers={"Range": "bytes=0-6"})
    assert (part.status_code, part.content) == (206, b"PMTiles")
    assert part.headers["Content-Range"] == f"bytes 0-6/{streets_file(data_dir).stat().st_size}"
    etag = part.headers["ETag"]
    import_extract(an_extract(tmp_path, NODES, STREETS, SURROUNDINGS), data_dir)
    assert (await client.get("/ville/streets.pmtiles", headers={"Range": "bytes=0-6"})).headers["ETag"] != etag


async def test_strangers_are_not_shown_around(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get("/ville/style.json")).status_code == 401
    assert (await client.get("/ville/streets.pmtiles")).status_code == 401


@pytest.fixture(scope="module")
def map_library() -> None:
    """What the map is made of, as `make` puts it in place."""
    subprocess.run([sys.executable, PROJECT / "deploy/browser/build.py"], check=True, timeout=300)


@pytest.fixture
async def address(app: FastAPI, map_library: None) -> AsyncIterator[str]:
    """The app on a real port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await running


async def open_page(browser: Browser, app: FastAPI, address: str) -> tuple[Page, list[str], list[str]]:
    """Open the page; return it with every address it asked for and everything it complained of."""
    page = await browser.new_page(extra_http_headers=token(app))
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    await page.goto(f"{address}/page")
    await page.wait_for_selector("[data-etat]", timeout=60_000)
    return page, asked, complaints


async def test_rounds_are_drawn_over_the_streets(
    browser: Browser, app: FastAPI, address: str, tmp_path: Path, data_dir: Path
) -> None:
    import_extract(an_extract(tmp_path, NODES, STREETS, SURROUNDINGS), data_dir)
    page, asked, complaints = await open_page(browser, app, address)
    assert await page.get_attribute("[data-etat]", "data-etat") == "carte"
    await page.wait_for_selector(f"text={ATTRIBUTION}")
    drawn = await page.evaluate(
        """async () => {
          const map = document.querySelector("[data-carte]").carte;
          if (!map.loaded()) await map.once("idle");
          return map.queryRenderedFeatures().map((feature) => feature.layer.id);
        }"""
    )
    assert {"street", "cycleway", "river", "green", "round-0", "round-1"} <= set(drawn)
    assert await page.locator(".repere").count() == 4  # two drops share one place
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
    assert complaints == []


async def test_without_streets_markers_and_lines_stand_on_plain_ground(
    browser: Browser, app: FastAPI, address: str
) -> None:
    page, asked, complaints = await open_page(browser, app, address)
    assert await page.get_attribute("[data-etat]", "data-etat") == "carte"
    assert await page.get_by_text("OpenStreetMap").count() == 0
    assert await page.locator(".carte-legende li").all_inner_texts() == ["Tournée A", "Tournée B"]
    assert await page.get_by_text("Trajets à vol d’oiseau").count() == 1
    assert not any("pmtiles" in url and "vendor" not in url for url in asked)
    assert complaints == []


DRAW_AGAIN = """async () => {
  const element = document.querySelector("[data-carte]");
  const before = element.carte.getCenter();
  const { draw } = await import("/static/dispatch/carte.js");
  const data = JSON.parse(document.getElementById("donnees").textContent);
  await draw(element, { rounds: data.rounds.slice(0, 1), stops: data.stops.slice(0, 2) });
  return [element.carte.getCenter().lat - before.lat, element.querySelectorAll(".carte-legende li").length];
}"""


async def test_drawing_again_fits_the_new_rounds(browser: Browser, app: FastAPI, address: str) -> None:
    page, _, complaints = await open_page(browser, app, address)
    shifted, legend = await page.evaluate(DRAW_AGAIN)
    assert shifted == pytest.approx(0.00025, abs=1e-6)  # the southernmost stop is gone
    assert legend == 1
    assert complaints == []


async def test_drawing_again_leaves_a_reader_who_moved_where_she_was(
    browser: Browser, app: FastAPI, address: str
) -> None:
    page, _, complaints = await open_page(browser, app, address)
    await page.keyboard.press("Tab")
    moved = page.evaluate("() => document.querySelector('[data-carte]').carte.once('moveend').then(() => true)")
    ended, _ = await asyncio.gather(moved, page.keyboard.press("ArrowUp"))
    assert ended
    shifted, _ = await page.evaluate(DRAW_AGAIN)
    assert shifted == pytest.approx(0, abs=1e-9)
    assert complaints == []


async def test_markers_are_reached_and_named_by_keyboard(browser: Browser, app: FastAPI, address: str) -> None:
    page, _, _ = await open_page(browser, app, address)
    names = []
    for _ in range(5):
        await page.keyboard.press("Tab")
        names.append(await page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert names[0].startswith("Carte des tournées")
    assert names[1:] == [
        "départ et retour, Dépôt",
        "Tournée A, arrêt 1, enlèvement, Mairie",
        "Tournée B, arrêt 1, dépôt, École ; Tournée B, arrêt 2, dépôt, École",
        "non planifiée, Gymnase",
    ]
    await page.get_by_label("Mairie").press("Enter")
    assert page.url.endswith("#ligne-3")


async def test_without_webgl_the_same_is_drawn_and_said(chromium: Chromium, app: FastAPI, address: str) -> None:
    async with async_playwright() as playwright:
        blind = [*chromium.arguments, "--disable-3d-apis"]
        browser = await playwright.chromium.launch(executable_path=chromium.path, args=blind)
        page, _, complaints = await open_page(browser, app, address)
        assert await page.get_attribute("[data-etat]", "data-etat") == "schema"
        assert await page.get_by_text("Le tableau dit la même chose").count() == 1
        assert await page.locator(".carte-fond polyline").count() == 2
        assert await page.locator(".repere").count() == 4
        assert complaints == []
        await browser.close()
