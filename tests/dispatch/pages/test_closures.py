"""Closed sites are noted and lifted by forms, and the board tells of published stops that meet them."""

from tests.dispatch.conftest import House, furnish, ordered, published
from tests.dispatch.pages.test_board import DAY, a_board

PAGE = "/tableau/fermetures"
FORM = {
    "date": "2026-11-24",
    "site_id": "site-école",
    "starts": "2026-11-24T07:00",
    "ends": "2026-11-24T11:00",
    "reason": "Grève.",
}


async def test_a_closure_is_noted_and_lifted_by_forms(house: House) -> None:
    await published(house)
    board = await a_board(house)
    assert "Aucun site fermé" in (await board.get(f"{PAGE}?date=2026-11-24")).text
    answer = await board.post(PAGE, data=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?date=2026-11-24&fait=fermeture")
    page = (await board.get(answer.headers["location"])).text
    assert "Grève." in page
    assert "réajustez la journée" in page
    assert "C-0001 : École" in page
    assert "Lever la fermeture d’École" in page
    assert "2 arrêts publiés tombent pendant une fermeture (École)" in (await board.get(DAY)).text
    lift = page.partition(f'action="{PAGE}/')[2].partition('"')[0]
    answer = await board.post(f"{PAGE}/{lift}", data={"date": "2026-11-24"})
    assert answer.headers["location"] == f"{PAGE}?date=2026-11-24&fait=levee"
    assert "pendant une fermeture" not in (await board.get(DAY)).text
    assert (await board.post(f"{PAGE}/{lift}", data={"date": "2026-11-24"})).status_code == 404


async def test_a_closure_out_of_reach_is_shown_and_not_offered_to_be_lifted(house: House) -> None:
    await published(house)
    board = await a_board(house)
    await board.post(PAGE, data=FORM)
    house.as_dispatcher("sèvre")
    others = await a_board(house, "regie-sèvre")
    page = (await others.get(f"{PAGE}?date=2026-11-24")).text
    assert "Grève." in page
    assert "/levee" not in page
    lift = (await board.get(f"{PAGE}?date=2026-11-24")).text.partition(f'action="{PAGE}/')[2].partition('"')[0]
    refused = await others.post(f"{PAGE}/{lift}", data={"date": "2026-11-24"})
    assert (refused.status_code, "Aucune livraison de vos marchés" in refused.text) == (404, True)
    assert "Grève." in (await board.get(f"{PAGE}?date=2026-11-24")).text


async def test_a_refused_closure_is_told_beside_what_was_typed(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    board = await a_board(house)
    refused = await board.post(PAGE, data=FORM | {"ends": "2026-11-24T06:00"})
    assert refused.status_code == 422
    assert "doit finir après son début" in refused.text
    assert 'value="2026-11-24T06:00"' in refused.text
    for nonsense in ("0001-01-01T00:00", "2026-11-24T06:00Z", "demain"):
        assert (await board.post(PAGE, data=FORM | {"ends": nonsense})).status_code == 422
    assert (await board.get(f"{PAGE}?date=9999-12-31")).status_code == 422
    assert (await house.as_dispatcher().get("/v1/closures?date=9999-12-31")).status_code == 422
