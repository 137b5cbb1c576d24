"""Plays a month of the demo city on a simulated clock, through the HTTP interfaces only, and draws up its account.

Everything a visitor does here a city's or a cooperative's own program could do: nothing is read from a database.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from zoneinfo import ZoneInfo

from services.demo import city
from services.demo.account import Account, draw_up
from services.demo.day import ride_day
from services.demo.house import DemoFailedError, House
from services.demo.setting import Setting, furnish

Tell = Callable[[str], None]
CANCEL_SHARE = 0.3


def days_of(month: date) -> Iterator[date]:
    """Give every day of the month of `month`."""
    day = month.replace(day=1)
    while day.month == month.month:
        yield day
        day += timedelta(days=1)


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """Return an instant of the city's wall clock."""
    return datetime.combine(day, day_time(hour, minute), ZoneInfo(city.ZONE)).astimezone(UTC)


def play_month(
    house: House, month: date, *, scale: int = 1, solve_seconds: float = 1.0, seed: int = 7, tell: Tell = print
) -> Account:
    """Play the month and return its account.

    `scale` keeps every scale-th recurring request, `solve_seconds` is what the planner gets for a day, `seed` draws
    the incidents. Raises DemoFailedError when an answer is not what a user would expect.
    """
    chance = random.Random(seed)
    first = month.replace(day=1)
    last = list(days_of(first))[-1]
    house.set_clock(local(first - timedelta(days=5), 9))
    tell(f"Mois joué : {first:%Y-%m}, horloge simulée.")
    setting = furnish(house, first, last, scale=scale, tell=tell)
    tally: Counter[str] = Counter()
    for day in days_of(first):
        house.set_clock(local(day - timedelta(days=1), 17))
        house.run_job("orders", "generate-orders")
        house.settle_down()
        change_minds(house, day, chance, tally)
        ridden = ride_day(house, day, chance=chance, solve_seconds=solve_seconds)
        tally.update(ridden)
        if ridden["planned"]:
            tell(
                f"  {day:%d/%m} : {ridden['planned']} livraisons planifiées, {ridden['left_out']} non planifiées, "
                f"{ridden['handed_over']} remises, {ridden['failed']} échecs"
            )
    house.set_clock(local(last + timedelta(days=2), 6))
    house.run_job("dispatch", "lapse")
    house.settle_down()
    close_month(house, setting, first, tell)
    return draw_up(house, setting, first, tell=tell)


def change_minds(house: House, day: date, chance: random.Random, tally: Counter[str]) -> None:
    """On the eve, one department cancels something of tomorrow, too late to be free; another one in good time."""
    for department, ahead in (("proprete", 0), ("voirie", 2)):
        if chance.random() > CANCEL_SHARE:
            continue
        visitor = house.visitor(department)
        when = day + timedelta(days=ahead)
        orders = list(visitor.pages("orders", f"/v1/orders?date_from={when}&date_to={when}&status=accepted"))
        if not orders:
            continue
        chosen = chance.choice(orders)
        answer = visitor.call("orders", "GET", f"/v1/orders/{chosen['id']}")
        visitor.post(
            "orders",
            f"/v1/orders/{chosen['id']}/cancellation",
            {"reason": "Site fermé ce jour-là."},
            headers={"If-Match": answer.headers["etag"], "Idempotency-Key": f"annulation-{chosen['id']}"},
        )
        tally["cancelled"] += 1
    house.settle_down()


def close_month(house: House, setting: Setting, first: date, tell: Tell) -> None:
    """Let finance close the month and pull every statement in each of its forms.

    Raises DemoFailedError when a form is not what it says it is, or differs when pulled again.
    """
    finance = house.visitor("finances")
    for contract_id in setting.contracts.values():
        finance.post("billing", f"/v1/contracts/{contract_id}/closings", {"month": f"{first:%Y-%m}"})
    house.settle_down()
    for statement in finance.pages("billing", "/v1/statements"):
        path = f"/v1/statements/{statement['id']}"
        table = finance.call("billing", "GET", f"{path}.csv").content
        paper = finance.call("billing", "GET", f"{path}.pdf").content
        again = finance.call("billing", "GET", f"{path}.pdf").content
        if not paper.startswith(b"%PDF-") or b";" not in table or paper != again:
            raise DemoFailedError(f"statement {statement['number']} cannot be pulled as CSV and PDF")
        forms = ("invoice.xml?syntax=cii", "invoice.xml?syntax=ubl", "invoice.pdf")
        invoice = [finance.call("billing", "GET", f"{path}/{form}").content for form in forms]
        if [content[:5] for content in invoice] != [b"<?xml", b"<?xml", b"%PDF-"]:
            raise DemoFailedError(f"invoice {statement['number']} cannot be pulled as CII, UBL and PDF")
        sizes = f"CSV ({len(table)} octets), PDF ({len(paper)} octets), facture CII, UBL et PDF"
        tell(f"  {statement['seller']['name']}, {statement['number']} : JSON, {sizes}")
