"""A closed month end to end: closing, every document, the pack; python -m bench.month [--sizes 1000 10000].

Deliveries are ordered and settled through billing's own stories, as its events would have it, in transactions of 500;
that is not measured. Each size runs in a process of its own, so that its memory is its own: what is told is how much
the peak rose above what the process held before the month was closed. Growth compares sizes with a straight line:
1.0 is linear. The closing writes and judges the e-invoice in both syntaxes, the pack prints and judges its PDF. The
official rules are made ready before, once a process as in the service. Everything in the pack is compared with its
manifest, and the pack is made twice and compared.

Some seconds and some hundred megabytes of memory: python -m bench.month --sizes 10000 100000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import BinaryIO, TypeVar
from zipfile import ZipFile

from bench.machine import machine
from services.billing import pack, use_cases
from services.billing.documents.validation import warm_up
from services.billing.domain.charge import Fact, FactKind, Order, OrderedLeg, Place
from services.billing.domain.contract import ChargeRules, Contract, Department, VatRate
from services.billing.domain.emissions import BikeKind, DistanceSource, MassSource, Ridden
from services.billing.domain.price_list import LegToPrice, Load, PriceLine, Unit
from services.billing.domain.statement import Month
from services.billing.tables import metadata
from services.kit.database import Database
from services.kit.ids import new_id
from tests.billing.builders import BUYER, ERDRE

SIZES = (1_000, 10_000)
AT_ONCE = 500
LEGS_A_ROUND = 20
BEGINNING = datetime(2025, 12, 15, 9, tzinfo=UTC)
NOVEMBER = Month(2026, 11)
CLOSED_AT = datetime(2026, 12, 6, 3, tzinfo=UTC)
COUNTED = ("close", "lists", "papers", "invoice and pack")
AIM_SECONDS = 10.0
AIM_GROWTH = 1.2

T = TypeVar("T")


@dataclass(slots=True)
class Measured:
    """One month: seconds by what was done, bytes by format, and how far the memory's peak rose in MiB."""

    deliveries: int
    items: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    processor_seconds: float = 0
    bytes_by_name: dict[str, int] = field(default_factory=dict)
    closing_mib: float = 0
    rendering_mib: float = 0

    @property
    def to_the_pack(self) -> float:
        """Seconds from the closing to the first pack."""
        return sum(self.seconds[name] for name in COUNTED)


def a_contract() -> Contract:
    """Return a contract whose maximum no size reaches."""
    return Contract(
        id=new_id(),
        reference="MESURE-2026",
        title="Transports à vélo des services municipaux",
        buyer=replace(BUYER, name="Ville de mesure"),
        cooperatives=(ERDRE,),
        departments=tuple(Department(f"service-{number}", f"Service {number}") for number in range(8)),
        starts_on=date(2026, 1, 1),
        ends_on=date(2027, 12, 31),
        ceiling_cents=100_000_000_000,
        zone="Europe/Paris",
        cutoff_minutes=720,
        rules=ChargeRules(50, 25),
        vat_rates=(VatRate(date(2014, 1, 1), 200, "CGI, art. 278"),),
        alert_percents=(90,),
        registered_at=BEGINNING,
    )


PRICES = (
    PriceLine("COURSE", "Course", Unit.LEG, 900),
    PriceLine("REMORQUE", "Supplément remorque", Unit.TRAILER, 350),
    PriceLine("LINGE", "Ballot de linge", Unit.LOAD, 120, "ballot-linge"),
    PriceLine("PANNEAU", "Panneau", Unit.LOAD, 205, "panneau"),
)
PLACES = tuple(Place(new_id(), f"École du quartier {number}") for number in range(60))


def an_order(contract: Contract, number: int) -> Order:
    """Return an order of one leg; days, departments, places and loads take turns."""
    kind = ("ballot-linge", "panneau")[number % 2]
    day = NOVEMBER.first_day + timedelta(days=number % 30)
    leg = LegToPrice(1, day, number % 7 == 0, (Load(kind, kind.capitalize(), 1 + number % 5),))
    places = PLACES[number % 60], PLACES[(number * 7 + 1) % 60]
    return Order(
        new_id(), f"C-{number:06d}", contract.id, f"service-{number % 8}", (OrderedLeg(leg, places[0], places[1]),)
    )


def a_fact(order: Order, number: int) -> Fact:
    """Return that it was handed over, one in fifty with a load less, with two proofs."""
    (load,) = order.legs[0].to_price.loads
    counted = load.count - (number % 50 == 0 and load.count > 1)
    day = order.legs[0].to_price.service_date
    return Fact(
        FactKind.HANDED_OVER,
        order.id,
        1,
        occurred_at=datetime(day.year, day.month, day.day, 9, number % 60, tzinfo=UTC),
        cooperative_id="erdre",
        counted={load.kind: counted},
        note="" if counted == load.count else "Un de moins au quai.",
        proof_ids=(new_id(), new_id()),
        ridden=Ridden(
            f"{day}-{number // 30 // LEGS_A_ROUND}",
            14_000 + number % 9_000,
            900 + number % 3_000,
            DistanceSource.STREETS,
            (BikeKind.ELECTRIC, BikeKind.MUSCLE)[number % 5 == 0],
            counted * 8_000,
            MassSource.CATALOGUE,
        ),
    )


def prepare(database: Database, deliveries: int) -> Contract:
    """Order and settle a month."""
    contract = a_contract()
    with database.transaction() as tx:
        use_cases.register_contract(tx, contract)
        use_cases.publish_price_list(
            tx, contract.id, valid_from=contract.starts_on, lines=PRICES, at=contract.registered_at
        )
    for start in range(0, deliveries, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, deliveries))
        orders = [an_order(contract, number) for number in numbers]
        facts = [a_fact(order, number) for order, number in zip(orders, numbers, strict=True)]
        with database.transaction() as tx:
            use_cases.book(tx, orders, [], at=BEGINNING)
        with database.transaction() as tx:
            use_cases.book(tx, [], facts, at=CLOSED_AT - timedelta(days=1))
    return contract


def peak_mib() -> float:
    """Return the most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(deliveries: int, folder: Path) -> Measured:
    """Close one month of this size and take everything of it."""
    found = Measured(deliveries)

    def timed(name: str, act: Callable[[], T]) -> T:
        began = perf_counter()
        result = act()
        found.seconds[name] = round(perf_counter() - began, 3)
        return result

    database = Database(f"sqlite:///{folder}/billing.db", metadata)
    database.upgrade()
    contract = timed("prepare", lambda: prepare(database, deliveries))
    timed("rules", warm_up)
    held, used = peak_mib(), process_time()

    def close() -> use_cases.Closing:
        with database.transaction() as tx:
            return use_cases.close_month(tx, contract.id, NOVEMBER, at=CLOSED_AT)

    (statement,) = timed("close", close).statements
    found.items = len(statement.items)
    assert statement.legs == deliveries
    found.closing_mib = round(peak_mib() - held, 1)
    held = peak_mib()
    for name, kinds in (
        ("lists", [kind for kind in pack.KINDS if kind.rows]),
        ("papers", [kind for kind in pack.KINDS if not kind.rows]),
    ):
        timed(name, lambda kinds=kinds: pack.render(database, statement, kinds, at=CLOSED_AT))  # type: ignore[misc]

    def zipped() -> str:
        with pack.pack(database, statement, at=CLOSED_AT).zipped() as (file, digest):
            found.bytes_by_name = _checked(file)
        return digest

    first = timed("invoice and pack", zipped)
    found.processor_seconds = round(process_time() - used, 3)
    assert timed("pack again", zipped) == first
    found.rendering_mib = round(peak_mib() - held, 1)
    database.dispose()
    return found


def _checked(file: BinaryIO) -> dict[str, int]:
    """Return the sizes of what is in a pack; everything is what its manifest says, an invoice in all its forms."""
    with ZipFile(file) as archive:
        listed = json.loads(archive.read("manifeste.json"))["files"]
        for one in listed:
            assert sha256(archive.read(one["file"])).hexdigest() == one["sha256"]
    sizes = {one["file"].partition("-erdre")[0] + Path(one["file"]).suffix: one["bytes"] for one in listed}
    assert {"facture.pdf", "facture-cii.xml", "facture-ubl.xml"} < sizes.keys()
    return sizes


def in_a_process_of_its_own(deliveries: int) -> Measured:
    """Measure one size in a new process."""
    with tempfile.TemporaryDirectory(prefix="tournee-month-") as folder:
        command = [sys.executable, "-m", "bench.month", "--one", str(deliveries), "--folder", folder]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Measured(**json.loads(told))


def tell(months: Sequence[Measured]) -> None:
    """Print the figures, each size beside the one before."""
    print(f"A closed month on {machine()}\n")
    for month in months:
        print(
            f"{month.deliveries} deliveries, {month.items} grouped lines; prepared in {month.seconds['prepare']:.1f} s"
        )
        for name, taken in month.seconds.items():
            if name != "prepare":
                print(f"  {name:<18}{taken:8.2f} s{'' if name in COUNTED else '  (not counted)'}")
        print(f"  from close to pack {month.to_the_pack:.2f} s, of the processor {month.processor_seconds:.2f} s")
        print("  MB: " + ", ".join(f"{name} {size / 1e6:.2f}" for name, size in month.bytes_by_name.items()))
        print(f"  memory above what was held: closing {month.closing_mib} MiB, documents {month.rendering_mib} MiB\n")
    for small, large in pairwise(months):
        factor = large.deliveries / small.deliveries
        growth = large.to_the_pack / small.to_the_pack / factor
        of_processor = large.processor_seconds / small.processor_seconds / factor
        print(
            f"{small.deliveries} to {large.deliveries}: {growth:.2f} times linear (aim below {AIM_GROWTH}),"
            f" of the processor {of_processor:.2f}"
        )
    for month in months:
        if month.deliveries == 10_000:
            print(f"10,000 to the pack: {month.to_the_pack:.2f} s (aim below {AIM_SECONDS:.0f} s on two cores)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        print(json.dumps(asdict(measure(asked.one, asked.folder))))
    else:
        tell([in_a_process_of_its_own(size) for size in asked.sizes])


if __name__ == "__main__":
    main()
