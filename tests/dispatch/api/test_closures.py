"""A site is closed for a while: plans ride around it, or say that this is why; published rounds are readjusted."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.dispatch import tables
from services.dispatch.domain.closure import Closure
from services.dispatch.domain.errors import ClosureNotFound
from services.dispatch.domain.reach import EVERYTHING, NOTHING, Reach
from services.dispatch.queries.sites import list_sites
from services.dispatch.repository import closures, crew, deliveries
from services.kit.database import Database
from tests.dispatch.builders import CONTRACT, NOW, PARIS, TODAY, a_delivery, a_visit, at, order_id
from tests.dispatch.conftest import House, checked, drafted, furnish, hire, ordered, published
from tests.dispatch.domain.test_closure import CLOSURE

PATH = "/v1/closures"
FIRST = f"{order_id(1)}-1"


async def close(house: House, hours: tuple[int, int], site: str = "école") -> Any:
    body = {
        "site_id": f"site-{site}",
        "starts_at": at(hours[0]).isoformat(),
        "ends_at": at(hours[1]).isoformat(),
        "reason": "Grève.",
    }
    return checked(await house.as_dispatcher().post(PATH, json=body), 201)


def starts(plan: dict[str, Any], kind: str = "drop") -> list[datetime]:
    return [
        datetime.fromisoformat(stop["starts_at"])
        for round_ in plan["rounds"]
        for stop in round_["stops"]
        if stop["kind"] == kind
    ]


async def test_a_closed_site_is_planned_around(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    told = await close(house, (7, 11))
    assert (told["site_name"], told["told_by"]) == ("École", "regie-erdre")
    assert checked(await house.as_dispatcher().get(f"{PATH}?date={TODAY}"))["items"] == [told]
    assert checked(await house.as_dispatcher().get(f"{PATH}/{told['id']}")) == told
    assert min(starts(await drafted(house))) >= at(11)
    assert (await house.as_dispatcher().delete(f"{PATH}/{told['id']}")).status_code == 204
    assert min(starts(await drafted(house))) < at(11)
    assert checked(await house.as_dispatcher().delete(f"{PATH}/{told['id']}"), 404)["code"] == "closure-not-found"


async def test_a_delivery_to_a_closed_site_is_left_out_with_why_and_what_would_help(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    closure = await close(house, (7, 13))
    (told,) = (await drafted(house))["left_out"]
    assert told["codes"] == ["closed"]
    (remedy,) = [one for one in told["remedies"] if one["code"] == "closed"]
    assert (remedy["stop"], remedy["until"]) == ("drop", "2026-11-24T12:00:00Z")
    assert remedy["words"] == (
        "le site de la livraison ouvert malgré sa fermeture, qui dure jusqu'à 13 h 00, avec Amel"
    )
    await house.as_dispatcher().delete(f"{PATH}/{closure['id']}")
    assert (await drafted(house))["left_out"] == []  # it was true


async def test_a_draft_that_calls_at_a_site_closed_since_is_stale(house: House) -> None:
    await furnish(house)
    await ordered(house, 2)
    plan = await drafted(house)
    await close(house, (18, 20))  # nobody calls there then
    closure = await close(house, (7, 13))
    dispatcher = house.as_dispatcher()
    refused = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"), 409)
    assert (refused["code"], refused["changes"][0]["kind"]) == ("plan-stale", "site-closed")
    assert "« École » est fermé quand la livraison C-0001 y passe" in refused["detail"]
    await dispatcher.delete(f"{PATH}/{closure['id']}")
    checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"))


async def test_a_delivery_is_not_placed_by_hand_where_its_site_is_closed(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    plan = await drafted(house)
    bastien = await hire(house, "erdre", "bastien")
    await close(house, (7, 13))
    move = {"delivery_id": FIRST, "shift_id": bastien["id"]}
    refused = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=move), 409)
    assert "la livraison C-0001 trouverait un site fermé (Bastien)" in refused["detail"]


async def test_a_published_day_is_readjusted_around_a_site_that_closes(house: House) -> None:
    await published(house)
    await close(house, (7, 11))
    dispatcher = house.as_dispatcher()
    replan = checked(await dispatcher.post("/v1/replans", json={"date": TODAY.isoformat()}), 201)
    assert {(change["kind"], change["why"]) for change in replan["changes"]} == {("retimed", "le site est fermé")}
    checked(await dispatcher.post(f"/v1/replans/{replan['id']}/acceptance"))
    rounds = checked(await dispatcher.get(f"/v1/rounds?date={TODAY}"))["items"]
    read = [checked(await dispatcher.get(f"/v1/rounds/{one['id']}")) for one in rounds]
    assert min(starts({"rounds": read})) >= at(11)
    # What the rounds keep to is no reason for anything that changes later.
    shift = read[0]["shift_id"]
    late = {"date": TODAY.isoformat(), "late": [{"shift_id": shift, "minutes": 300}]}
    again = checked(await dispatcher.post("/v1/replans", json=late), 201)
    assert again["changes"]
    assert "le site est fermé" not in {change["why"] for change in again["changes"]}


async def test_a_proposal_from_before_a_closure_is_stale(house: House) -> None:
    await published(house)
    dispatcher = house.as_dispatcher()
    shift = checked(await dispatcher.get(f"/v1/rounds?date={TODAY}"))["items"][0]["shift_id"]
    late = {"date": TODAY.isoformat(), "late": [{"shift_id": shift, "minutes": 60}]}
    replan = checked(await dispatcher.post("/v1/replans", json=late), 201)
    await close(house, (7, 12))
    refused = checked(await dispatcher.post(f"/v1/replans/{replan['id']}/acceptance"), 409)
    assert refused["code"] == "replan-stale"
    assert "« École » est fermé" in refused["detail"]


async def test_what_is_wrong_with_a_closure_is_told_at_once(house: House) -> None:
    await ordered(house, 1)
    dispatcher = house.as_dispatcher()
    body = {"site_id": "site-école", "starts_at": at(9).isoformat(), "ends_at": at(9).isoformat(), "reason": " "}
    refused = checked(await dispatcher.post(PATH, json=body), 422)
    assert {one["pointer"] for one in refused["errors"]} == {"/ends_at", "/reason"}
    assert checked(await dispatcher.post(PATH, json=body | {"site_id": "x"}), 404)["code"] == "site-not-found"
    stranger = house.as_dispatcher("sèvre")
    assert checked(await stranger.post(PATH, json=body), 404)["code"] == "site-not-found"
    assert (await house.as_courier().post(PATH, json=body)).status_code == 403
    assert checked(await dispatcher.get(f"{PATH}?date={TODAY}"))["items"] == []


async def test_a_closure_is_lifted_by_those_who_may_note_it_alone(house: House) -> None:
    await ordered(house, 1)
    closure = await close(house, (7, 11))
    address = f"{PATH}/{closure['id']}"
    assert checked(await house.as_dispatcher("sèvre").delete(address), 404)["code"] == "site-not-found"
    assert checked(await house.as_machine(["dispatch:write"]).delete(address), 404)["code"] == "site-not-found"
    assert checked(await house.as_dispatcher().get(address)) == closure
    # Both cooperatives hold the contract whose deliveries call there.
    assert (await house.as_dispatcher("loire").delete(address)).status_code == 204


async def test_the_administration_lifts_also_where_no_delivery_calls_any_more(house: House) -> None:
    with house.database.transaction() as tx:
        closures.add(tx, CLOSURE)
    assert checked(await house.as_dispatcher().delete(f"{PATH}/{CLOSURE.id}"), 404)["code"] == "site-not-found"
    assert (await house.as_administrator().delete(f"{PATH}/{CLOSURE.id}")).status_code == 204


def test_closures_of_a_day_are_kept_on_either_database(either_database: Database) -> None:
    closure: Closure = replace(CLOSURE, site_id="site-école", site_name="École")
    friday, saturday = TODAY.replace(day=27), TODAY.replace(day=28)
    later = replace(closure, id="later", starts_at=at(10, day=friday), ends_at=at(9, day=saturday))
    with either_database.transaction() as tx:
        deliveries.add(tx, [a_delivery(drop=a_visit("école", site_name="École Aristide"))])
        closures.add(tx, closure)
        closures.add(tx, later)
    with either_database.view() as view:
        assert closures.of_day(view, TODAY, PARIS) == [closure]
        assert closures.get(view, "later") == later
        assert closures.site_name(view, "site-école", EVERYTHING) == "École Aristide"
        assert closures.site_name(view, "site-école", Reach("erdre")) is None
    with either_database.transaction() as tx:
        closures.remove(tx, closure.id)
        with pytest.raises(ClosureNotFound):
            closures.get(tx, closure.id)
    assert closure.told_at == NOW


def test_sites_are_listed_once_as_they_were_called_last_and_nothing_else_is_read(either_database: Database) -> None:
    old, new = a_visit("école", site_name="École Aristide"), a_visit("école", site_name="Collège")
    yesterday = TODAY - timedelta(days=1)
    with either_database.transaction() as tx:
        crew.save_holders(tx, CONTRACT, "2026-VELO-01", [("erdre", "Erdre")])
        deliveries.add(tx, [a_delivery(1, drop=new), a_delivery(2, drop=old, service_date=yesterday)])
        deliveries.add(tx, [a_delivery(4, service_date=TODAY + timedelta(days=2), drop=a_visit("musée"))])
        deliveries.add(tx, [a_delivery(5, contract_id="another", drop=a_visit("jardin"))])
        tx.execute(update(tables.deliveries).values(loads=["unread"]))
    laundry, school = ("site-blanchisserie", "Blanchisserie"), ("site-école", "Collège")
    with either_database.view() as view:
        span = yesterday, TODAY + timedelta(days=1)
        assert list_sites(view, Reach("erdre"), *span) == [laundry, school]
        assert list_sites(view, EVERYTHING, *span) == [laundry, school, ("site-jardin", "Jardin")]
        assert list_sites(view, EVERYTHING, yesterday, yesterday) == [laundry, ("site-école", "École Aristide")]
        assert list_sites(view, NOTHING, *span) == []
