"""What plans weigh, and what a delivery is worth, set by forms."""

from tests.dispatch.builders import order_id
from tests.dispatch.conftest import House, checked, furnish, ordered
from tests.dispatch.pages.test_board import DAY, a_board

PAGE = "/tableau/reglages"
FORM = {
    "date": "2026-11-24",
    "courier": "30",
    "balance": "1",
    "ordinary": "",
    "can_wait": "45.5",
    "tolerance": "5",
    "late_weight": "20",
}


async def test_settings_are_kept_in_minutes_for_every_day_or_for_one(house: House) -> None:
    board = await a_board(house)
    page = (await board.get(f"{PAGE}?date=2026-11-24")).text
    assert "suit les réglages de tous les jours" in page
    assert f'href="{PAGE}?date=2026-11-24"' in (await board.get(DAY)).text
    answer = await board.post(PAGE, data=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?date=2026-11-24&fait=tous")
    kept = checked(await house.as_dispatcher().get("/v1/planning-settings"))
    assert (kept["courier_seconds"], kept["balance_weight"]) == (1_800, 1)
    assert (kept["ordinary_seconds"], kept["can_wait_seconds"]) == (None, 2_730)
    assert (kept["tolerance_seconds"], kept["late_weight"]) == (300, 20)
    await board.post(PAGE, data=FORM | {"this_day_only": "true", "ordinary": "120"})
    page = (await board.get(f"{PAGE}?date=2026-11-24&fait=jour")).text
    assert "a ses propres réglages, posés par regie-erdre" in page
    assert 'value="120"' in page
    assert "ordinary" not in (await board.get(f"{PAGE}?date=2026-11-25")).text.partition('value="120"')[2]
    await board.post(f"{PAGE}/retour", data={"date": "2026-11-24"})
    assert "suit les réglages de tous les jours" in (await board.get(f"{PAGE}?date=2026-11-24")).text


async def test_refused_settings_are_told_all_at_once_beside_what_was_typed(house: House) -> None:
    board = await a_board(house)
    refused = await board.post(PAGE, data=FORM | {"courier": "300", "balance": "11"})
    assert refused.status_code == 422
    assert "de 0 à 240 minutes" in refused.text
    assert "de 0 à 10" in refused.text
    assert 'value="300"' in refused.text
    for nonsense in ("nan", "inf", "1e308", "-1e308", "beaucoup"):
        assert (await board.post(PAGE, data=FORM | {"courier": nonsense})).status_code == 422


async def test_a_priority_is_given_by_the_form_of_instructions(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    board = await a_board(house)
    form = {"delivery_id": f"{order_id(1)}-1", "priority": "urgent", "reason": "Conseil municipal."}
    answer = await board.post("/tableau/consignes", data=form)
    assert answer.headers["location"] == f"{DAY}&fait=consigne"
    assert '<span class="badge">urgente</span>' in (await board.get(DAY)).text
