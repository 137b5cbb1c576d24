"""The day a newcomer watches: furnishes the demo house, then rides one day in a minute or two, told line by line."""

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from operator import itemgetter
from time import sleep
from typing import Any
from zoneinfo import ZoneInfo

from services.demo import city
from services.demo.day import at, plan_day, ride_reports, rounds_of, send_reports
from services.demo.house import House
from services.demo.setting import furnish

Tell = Callable[[str], None]


def working_day(today: date) -> date:
    """Return today, or the Monday after when it is a weekend."""
    return today + timedelta(days={5: 2, 6: 1}.get(today.weekday(), 0))


def play_today(house: House, *, seconds: float = 90, tell: Tell = print) -> None:
    """Furnish the house if it is empty, then play today, or the next working day, in about `seconds`.

    Raises DemoFailedError when an answer is not what a user would expect.
    """
    zone = ZoneInfo(city.ZONE)
    day = working_day(datetime.now(zone).date())
    if not list(house.admin.pages("billing", "/v1/contracts")):
        house.set_clock(at(day - timedelta(days=1), 9))
        furnish(house, day.replace(day=1), day + timedelta(days=45), scale=1, tell=tell)
    house.set_clock(at(day - timedelta(days=1), 17))
    house.run_job("orders", "generate-orders")
    house.settle_down()
    plan = plan_day(house, day, solve_seconds=3)
    house.set_clock(at(day, 6))
    if plan is not None:
        figures = f"{plan['planned']} livraisons planifiées, {len(plan['left_out'])} non planifiées"
        tell(f"Journée du {day:%d/%m/%Y} : {figures}.")
    moments = sorted(_moments(house, day), key=itemgetter(0))
    pause = seconds / max(1, len(moments))
    for instant, courier, reports, line in moments:
        house.set_clock(instant)
        send_reports(house, courier, reports)
        tell(f"  {instant.astimezone(zone):%H h %M}  {line}")
        sleep(pause)
    house.settle_down()
    for contract in house.admin.pages("billing", "/v1/contracts"):
        use = house.admin.get("billing", f"/v1/contracts/{contract['id']}/consumption")
        tell(
            f"{contract['reference']} : {use['held']} € engagés, {use['owed']} € dus, {use['left']} € restants "
            f"sur {use['ceiling']} €."
        )


def _moments(house: House, day: date) -> list[tuple[datetime, str, list[dict[str, Any]], str]]:
    """Return every stop of the day as (instant, courier, its reports, a line to tell)."""
    chance = random.Random(day.toordinal())
    moments = []
    for cooperative in city.COOPERATIVES:
        for courier in cooperative.couriers:
            for stop, reports in ride_reports(rounds_of(house, courier, day), chance):
                verb = {"fail": "échec à", "complete": {"pickup": "enlèvement à", "drop": "remise à"}[stop["kind"]]}
                line = (
                    f"{courier.capitalize()} ({cooperative.name}) : {verb[reports[-1]['kind']]} {stop['site']['name']}"
                )
                moments.append((datetime.fromisoformat(reports[-1]["occurred_at"]), courier, reports, line))
    return moments
