import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.http.html import Pages, euros, number

PARIS = ZoneInfo("Europe/Paris")


def shown(expression: str, **values: Any) -> str:
    environment = Pages(Path(__file__).parent).environment
    return environment.from_string("{{ " + expression + " }}").render(zone=PARIS, **values)


@pytest.mark.parametrize(
    ("cents", "text"),
    [(0, "0,00 €"), (5, "0,05 €"), (123_450, "1 234,50 €"), (-99, "−0,99 €"), (100_000_000, "1 000 000,00 €")],
)
def test_amounts_are_written_the_french_way(cents: int, text: str) -> None:
    assert euros(cents).replace("\u202f", " ").replace("\u00a0", " ") == text
    assert " " not in euros(cents)


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_an_amount_loses_no_cent(cents: int) -> None:
    digits = euros(cents).translate({0x202F: None, 0xA0: None, ord("€"): None, ord("−"): "-", ord(","): "."})
    assert Decimal(digits) * 100 == cents


@pytest.mark.parametrize(
    ("expression", "value", "text"),
    [
        ("v | date_fr", date(2026, 11, 24), "mar. 24 nov. 2026"),
        ("v | date_fr", "2027-02-01", "lun. 1er févr. 2027"),
        ("v | date_fr", datetime(2026, 11, 24, 23, 30, tzinfo=UTC), "mer. 25 nov. 2026"),
        ("v | time_fr", time(8, 30), "8 h 30"),
        ("v | time_fr", "08:05", "8 h 05"),
        ("v | time_fr", datetime(2026, 7, 1, 7, 0, tzinfo=UTC), "9 h"),
        ("v | time_fr(seconds=true)", datetime(2026, 11, 24, 7, 5, 9, tzinfo=UTC), "08:05:09"),
        ("v | number(1)", 1234.56, "1 234,6"),
    ],
)
def test_dates_and_times_are_written_the_french_way_in_the_citys_zone(
    expression: str, value: object, text: str
) -> None:
    assert shown(expression, v=value).replace("\u202f", " ").replace("\u00a0", " ") == text


def test_an_instant_keeps_its_machine_form() -> None:
    text = shown("v | datetime_fr", v=datetime(2026, 11, 24, 7, 30, tzinfo=UTC)).replace("\u00a0", " ")
    assert text == '<time datetime="2026-11-24T07:30:00+00:00">mar. 24 nov. 2026 à 8 h 30</time>'


def test_numbers_have_a_true_minus() -> None:
    assert number(-1.5, 1) == "−1,5"


async def test_a_page_shows_the_callers_own_entries_and_when_it_was_current(
    house: Any, stopped_clock: datetime
) -> None:
    secret = house.access.accounts.add("lea", name="Léa <b>", roles=["secretary"])
    nobody = house.access.accounts.add("max", name="Max", roles=[])
    async with house.client(headers={"Accept": "text/html"}) as client:
        await client.post("/connexion", data={"login": "lea", "secret": secret})
        await client.post("/cahier", data={"text": "<script>alert(1)</script>"})
        page = await client.get("/cahier")
        home = await client.get("/")
        await client.post("/connexion", data={"login": "max", "secret": nobody})
        empty = await client.get("/")
        forbidden = await client.get("/cahier")
    assert '<a href="/cahier" aria-current="page">Cahier</a>' in page.text
    assert re.search(r"Données à jour à 08:30:\d\d", page.text)
    assert "&lt;script&gt;" in page.text
    assert "<script>alert" not in page.text
    assert "Léa &lt;b&gt;" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert '<li><a href="/cahier">Cahier</a></li>' in home.text
    assert "Votre compte n'ouvre aucune page ici" in empty.text
    assert forbidden.status_code == 403
    assert "Action non permise" in forbidden.text


async def test_the_home_page_asks_a_stranger_to_log_in(house: Any) -> None:
    async with house.client() as client:
        assert (await client.get("/")).headers["Location"] == "/connexion"


async def test_pages_ask_nothing_of_other_sites_and_hold_no_inline_script(house: Any) -> None:
    async with house.client(headers={"Accept": "text/html"}) as client:
        pages = [(await client.get(path)).text for path in ("/connexion", "/nulle-part")]
        style = await client.get("/static/style.css")
    for text in pages:
        assert '<html lang="fr">' in text
        assert "http:" not in text
        assert "https:" not in text
        assert "<script" not in text
        assert " style=" not in text
        assert 'href="#contenu"' in text
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text
