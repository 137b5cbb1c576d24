"""Shared equipment and sites with room for a few, by forms."""

from tests.dispatch.conftest import House, checked, furnish, ordered
from tests.dispatch.pages.test_board import a_board, in_session

DOCKS = "/tableau/fermetures/quais"


async def test_shared_equipment_is_kept_and_lifted_by_a_form(house: House) -> None:
    await furnish(house)
    board = await a_board(house)
    form = {"equipment": "trailer", "at_most": "2"}
    assert (await board.post("/tableau/equipe/materiel", data=form)).status_code == 303
    assert "remorque : 2 au plus" in (await board.get("/tableau/equipe")).text
    await board.post("/tableau/equipe/materiel", data={"equipment": "froid", "at_most": "1"})
    await board.post("/tableau/equipe/materiel", data=form | {"at_most": ""})
    kept = checked(await house.as_dispatcher().get("/v1/cooperatives/erdre/shared-equipment"))
    assert kept["equipment"] == [{"equipment": "froid", "at_most": 1}]
    refused = await board.post("/tableau/equipe/materiel", data=form | {"at_most": "-1"})
    assert (refused.status_code, "de 0 à 1 000" in refused.text) == (422, True)
    house.as_administrator()
    admin = in_session(house, "admin")
    await admin.post("/tableau/equipe/materiel", data=form | {"cooperative_id": "erdre"})
    assert "Erdre – remorque : 2 au plus" in (await admin.get("/tableau/equipe")).text
    answer = await board.post("/tableau/equipe/materiel", data=form | {"cooperative_id": "loire"})
    assert answer.status_code == 422


async def test_room_at_a_site_is_kept_and_lifted_by_a_form(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    board = await a_board(house)
    form = {"date": "2026-11-24", "site_id": "site-école", "at_most": "3"}
    answer = await board.post(DOCKS, data=form)
    assert answer.headers["location"] == "/tableau/fermetures?date=2026-11-24&fait=quais"
    page = "/tableau/fermetures?date=2026-11-24"
    assert "École : 3 vélos par jour au plus" in (await board.get(page)).text
    assert (await board.post(DOCKS, data=form | {"at_most": "0"})).status_code == 422
    house.as_dispatcher("sèvre")
    stranger = in_session(house, "regie-sèvre")
    assert (await stranger.post(DOCKS, data=form | {"at_most": ""})).status_code == 422
    assert "École : 3 vélos par jour au plus" in (await board.get(page)).text
    await board.post(DOCKS, data=form | {"at_most": ""})
    assert "par jour au plus" not in (await board.get(page)).text
