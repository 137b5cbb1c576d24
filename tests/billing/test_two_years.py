"""Two generated years of three contracts: every document passes every layer, every sum agrees, no number is missing.

A script is drawn from a seed before anything runs: what the topics say and what people decide, each with its instant.
It is played through the handlers and the use cases; the tests judge what is kept. Played again elsewhere, with its
events heard one by one, twice, in another order and after closings, it must leave the same behind.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from hashlib import sha256
from itertools import groupby
from random import Random
from zipfile import ZipFile

import pikepdf
import pytest
from sqlalchemy import select

from services.billing import pack, queries, use_cases
from services.billing.documents.facturx import pdf_findings
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal, validate
from services.billing.domain.acceptance import Decider
from services.billing.domain.advance import AdvanceTerms
from services.billing.domain.amendment import Amendment
from services.billing.domain.charge import SHARE_CODES, Acceptance, Charge, Cut, Rule
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import Asked, CreditNote
from services.billing.domain.legal import rows_of
from services.billing.domain.month import Month
from services.billing.domain.penalty import Cause
from services.billing.domain.penalty import Status as PenaltyStatus
from services.billing.domain.penalty_terms import PenaltyRule, PenaltyTerms, Trigger
from services.billing.domain.revision import IndexWeight, RevisionTerms, shifted
from services.billing.domain.statement import REGULARISATION, Gauge, Statement
from services.billing.domain.status import Status, ToldStatus
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.billing.queries import ChargeFilter, Consumption, Sight
from services.billing.queries.after_closing import list_credit_notes, told_of
from services.billing.queries.penalties import get_statement as penalties_of
from services.billing.queries.scopes import ScopeUse, list_scopes
from services.billing.repository import Documents, charge_of, note_documents
from services.billing.repository.penalties import Penalties
from services.billing.repository.revision import Revisions
from services.billing.tables import charges, credit_notes, holds, metadata
from services.billing.use_cases import acceptance, contracts, penalties
from services.billing.use_cases import credit_notes as crediting
from services.billing.use_cases.expiry import expire_holds
from services.billing.use_cases.statuses import hear_status
from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from services.kit import clock
from services.kit.database import Database, View
from tests.billing.builders import (
    ERDRE,
    LOIRE,
    PRICES,
    a_contract,
    a_cooperative,
    a_leg_to_price,
    an_order,
    hear,
    order_placed,
    publish,
    register,
    stamp,
)
from tests.billing.test_invoicing import FOR_A_SERVICE, IN_FRANCHISE
from tests.billing.test_revision import ZERO, record

SEED = 0
Event = (
    orders_pb2.OrderPlaced
    | orders_pb2.OrderAmended
    | dispatch_pb2.StopCompleted
    | dispatch_pb2.StopFailed
    | dispatch_pb2.DeliveryCancelled
    | dispatch_pb2.DeliveryLapsed
)
MARIE = Decider("finances", "Marie, finances")
FIRST = Month(2026, 1)
MONTHS = [shifted(FIRST, count) for count in range(24)]
SEVRE = replace(a_cooperative("sevre", "Sèvre à vélo", "90000041500019"), vat_regimes=IN_FRANCHISE.vat_regimes)
ADVANCE_CENTS = 300_00


def id_of(kind: int, number: int) -> str:
    return f"00000000-0000-7000-{8000 + kind}-{number:012d}"


# A: firm period and renewal, lots, a budget, revision. B: a seller without VAT, verified leg by leg. C: a group of two
# sellers that got an advance and pays penalties, for a buyer who wants a service code.
A = a_contract(
    id=id_of(0, 1),
    reference="VELO-A",
    cooperatives=(ERDRE,),
    verification_days=5,
    ceiling_cents=2_600_00,
    structure=Structure(
        (
            Period(1, date(2026, 1, 1), date(2026, 12, 31), 850_00, Decision.FIRM),
            Period(2, date(2027, 1, 1), date(2027, 12, 31), 1_750_00, Decision.EXPLICIT),
        ),
        (
            Lot(1, "Linge", "64120000", 1_900_00, load_kinds=("ballot-linge",)),
            Lot(2, "Reste", "64120000", 750_00),
        ),
        (Budget(250_00, "voirie", 2026),),
    ),
    revision=RevisionTerms(
        Decimal("0.15"), (IndexWeight("ICHT", Decimal("0.85")),), base_month=ZERO, first_month=FIRST
    ),
)
B = a_contract(id=id_of(0, 2), reference="VELO-B", cooperatives=(SEVRE,), verification_days=15, ceiling_cents=4_000_00)
C = a_contract(
    id=id_of(0, 3),
    reference="VELO-C",
    buyer=FOR_A_SERVICE,
    cooperatives=(LOIRE, ERDRE),
    ceiling_cents=3_000_00,
    advance=AdvanceTerms(ADVANCE_CENTS, date(2026, 1, 15), from_percent=10, to_percent=50),
    penalties=PenaltyTerms(
        (
            PenaltyRule("RETARD", "Plus de 30 minutes de retard", Trigger.LATE, FIRST.first_day, None, 500, 0, 30),
            PenaltyRule("JOURS", "Retard en jours", Trigger.LATE_PER_DAY, FIRST.first_day, permille_per_day=100),
            PenaltyRule("MANQUEE", "Livraison manquée", Trigger.MISSED, FIRST.first_day, None, 1500),
        ),
        cap_permille=50,
    ),
)
CONTRACTS = (A, B, C)
AMENDMENT = Amendment(
    1,
    "R2194-8",
    signed_on=date(2027, 3, 15),
    notified_on=date(2027, 3, 18),
    delta_cents=200_00,
    new_maximum_cents=2_800_00,
    period=2,
    lot=1,
    reason="Deux écoles de plus",
)


# -- the script --------------------------------------------------------------------------------------------------------


@dataclass
class Life:
    """A database in which a script is played, and what was seen on the way."""

    database: Database
    is_replay: bool = False
    closed: dict[tuple[str, Month, str], Statement] = field(default_factory=dict)
    standings: list["Standing"] = field(default_factory=list)
    credits: list["Credit"] = field(default_factory=list)

    def play(self, script: Sequence["Step"]) -> "Life":
        """Play a script; a replay hears events one by one, three times each, and again after what people did then."""
        heard: list[Event] = []
        try:
            for (_, _, act), steps in groupby(script, lambda step: (step.at.date(), step.is_of_orders, step.act)):
                told = list(steps)
                clock.set_now(told[-1].at)
                if act is not None:
                    act(self, told[-1].at)
                    if heard:
                        hear(self.database, *heard[::-1])
                    heard = []
                    continue
                events = [step.what for step in told if step.what is not None]
                if not told[0].is_of_orders:
                    events = self._of_held_orders(events)
                if not self.is_replay:
                    hear(self.database, *events)
                    continue
                heard.extend(events)
                for event in events if told[0].is_of_orders else events[::-1]:
                    hear(self.database, event)
                    hear(self.database, event, event)
        finally:
            clock.reset()
        return self

    def _of_held_orders(self, events: Sequence[Event]) -> list[Event]:
        """Leave out what dispatch would never say: it plans only what is held."""
        with self.database.view() as view:
            held = set(view.execute(select(holds.c.order_id).where(holds.c.is_held)).scalars())
        return [event for event in events if event.order_id in held]

    def charges_of(self, statement: Statement) -> list[Charge]:
        """Return what still stands on a statement, in an order that does not depend on random ids."""
        with self.database.view() as view:
            found = queries.list_charges(view, Sight(), ChargeFilter(statement_id=statement.id), limit=1000)
        return [charge for charge in found if charge.due_cents]


Act = Callable[[Life, datetime], None]


@dataclass(frozen=True)
class Step:
    """At an instant, what a topic says or what somebody does."""

    at: datetime
    what: Event | None = None
    act: Act | None = None

    @property
    def is_of_orders(self) -> bool:
        """Whether the orders say it, who are heard in their order; what becomes of legs is heard in any."""
        return isinstance(self.what, orders_pb2.OrderPlaced | orders_pb2.OrderAmended)


def noon(day: date, hour: int = 9) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def script_of(seed: int) -> list[Step]:
    """Draw two years: the same for the same seed, whatever it is played in."""
    rng = Random(seed)
    steps = [Step(datetime(2025, 12, 20, 9, tzinfo=UTC), act=begin)]
    for contract in CONTRACTS:
        number = 0
        for month in MONTHS:
            for _ in range(rng.randint(4, 8)):
                number += 1
                steps.extend(an_order_s_life(rng, contract, month, number))
    index = Decimal(1000)
    for count, month in enumerate(MONTHS):
        index += Decimal(rng.randint(-40, 90)) / 10
        definitive = index + Decimal(rng.randint(-120, 120)) / 10
        published = [(2, str(index), False), (4, str(definitive), True)]
        for later, value, is_definitive in published:
            day = on_day(shifted(month, later), 4)
            steps.append(Step(noon(day), act=partial(publish_value, month, value, is_definitive)))
        steps.extend(an_office_s_month(rng, month, count))
    steps.append(Step(datetime(2026, 10, 15, 9, tzinfo=UTC), act=renew))
    steps.append(Step(datetime(2026, 11, 20, 9, tzinfo=UTC), act=raise_prices))
    steps.append(Step(datetime(2027, 3, 20, 9, tzinfo=UTC), act=amend))
    end = noon(on_day(MONTHS[-1].next, 28))
    return sorted((step for step in steps if step.at < end), key=lambda step: step.at)


def on_day(month: Month, day: int) -> date:
    return month.first_day.replace(day=day)


def an_order_s_life(rng: Random, contract: Contract, month: Month, number: int) -> Iterator[Step]:
    """Draw an order of one leg or two, an amendment of its window, how each leg ends, and what the buyer says of it."""
    place = CONTRACTS.index(contract) + 1
    day = month.first_day + timedelta(days=rng.randrange(month.last_day.day))
    placed_at = noon(day - timedelta(days=rng.choice([1, 2, 3, 7, 40])))
    if month == FIRST:
        placed_at = max(placed_at, noon(FIRST.first_day, 8))
    loads = [{"ballot-linge": rng.randint(1, 7)}, {"panneau": rng.randint(1, 4), "pied-panneau": 2}, {}]
    legs = [
        a_leg_to_price(leg, day, rng.choice(loads), needs_trailer=rng.random() < 0.2)
        for leg in range(1, rng.choice([2, 2, 2, 3]))
    ]
    order = an_order(
        contract,
        legs=legs,
        department_id=rng.choice(["proprete", "proprete", "voirie"]),
        order_id=id_of(place, number),
        reference=f"{contract.reference[-1]}-{number:04}",
    )
    event = order_placed(order)
    event.placed_at.CopyFrom(stamp(placed_at))
    for told in event.legs:
        told.drop.window_end.CopyFrom(stamp(noon(day, 11)))
    yield Step(placed_at, event)
    if rng.random() < 0.1:
        moved = orders_pb2.OrderAmended(order_id=order.id, amended_at=stamp(placed_at), legs=event.legs)
        for told in moved.legs:
            told.drop.window_end.CopyFrom(stamp(noon(day, 15)))
        yield Step(placed_at + timedelta(minutes=30), moved)
    for leg in legs:
        ended = how_it_ended(rng, contract, order.id, leg.number, day, leg.loads[0].count if leg.loads else 0)
        if ended is not None:
            is_late = rng.random() < 0.05
            yield Step(noon(on_day(month.next, 12)) if is_late else ended[0], ended[1])
        if contract is B:
            verdict = rng.choice(["accept"] * 5 + ["", "", "dispute", "cut", "cut", "reject"])
            then = rng.choice(["accept", "cut", "reject"])
            yield Step(noon(on_day(month.next, 6)), act=partial(decide, order.id, leg.number, verdict))
            if verdict == "dispute":
                after = noon(on_day(month.next.next, 6))
                yield Step(after, act=partial(decide, order.id, leg.number, then))


def how_it_ended(
    rng: Random, contract: Contract, order_id: str, leg: int, day: date, loads: int
) -> tuple[datetime, Event] | None:
    """Draw a leg's end; None when nobody ever tells."""
    kind = rng.choices(
        ["done", "short", "site-closed", "bike-broken", "cancelled", "cancelled-late", "lapsed", "silence"],
        [70, 10, 6, 3, 4, 3, 3, 2],
    )[0]
    at = noon(day, 10) + timedelta(minutes=rng.choice([5, 20, 50, 75, 100, 180]), days=rng.random() < 0.05)
    seller = rng.choice(contract.cooperatives).id
    match kind:
        case "silence":
            return None
        case "lapsed":
            return at, dispatch_pb2.DeliveryLapsed(order_id=order_id, leg=leg, lapsed_at=stamp(at))
        case "cancelled" | "cancelled-late":
            at = noon(day, 8)
            return at, dispatch_pb2.DeliveryCancelled(
                order_id=order_id, leg=leg, is_late=kind == "cancelled-late", cancelled_at=stamp(at)
            )
        case "site-closed" | "bike-broken":
            return at, dispatch_pb2.StopFailed(
                order_id=order_id,
                leg=leg,
                cooperative_id=seller,
                is_billable=kind == "site-closed",
                reason_code=kind,
                reason="Site fermé" if kind == "site-closed" else "Panne",
                failed_at=stamp(at),
            )
    counted = max(0, loads - rng.randint(1, 2)) if kind == "short" else loads
    counts = [
        dispatch_pb2.CountedLoad(kind=load, announced=loads, counted=counted) for load in ("ballot-linge", "panneau")
    ]
    return at, dispatch_pb2.StopCompleted(
        order_id=order_id,
        leg=leg,
        stop_kind=dispatch_pb2.STOP_KIND_DROP,
        cooperative_id=seller,
        completed_at=stamp(at),
        loads=counts,
        proof_ids=[f"p-{order_id[-4:]}-{leg}"],
    )


def an_office_s_month(rng: Random, month: Month, count: int) -> Iterator[Step]:
    """Draw what finance does after a month: expiry, closing, credits, statuses, penalties."""
    after = month.next
    yield Step(noon(on_day(after, 8)), act=partial(expire, month))
    for minute, contract in enumerate(CONTRACTS):
        yield Step(noon(on_day(after, 10)) + timedelta(minutes=minute), act=partial(close, contract, month))
    for contract, every, is_anew in ((A, 6, False), (B, 3, False), (B, 4, True), (C, 6, False), (C, 7, True)):
        if count % every == every - 1:
            seller = rng.choice(contract.cooperatives).id
            part = None if is_anew else rng.choice([None, 3])
            act = partial(credit, (contract.reference, month, seller), rng.randrange(100), part, is_anew)
            yield Step(noon(on_day(after, 14)), act=act)
    for contract, refused_count in ((A, 7), (B, 10), (C, 13)):
        for holder in contract.cooperatives:
            key = contract.reference, month, holder.id
            status = Status.REFUSED if count == refused_count else rng.choice([Status.AVAILABLE, Status.SUSPENDED])
            yield Step(noon(on_day(after, 15)), act=partial(tell, key, status))
            if status is Status.REFUSED:
                yield Step(noon(on_day(after, 16)), act=partial(bill_anew, key))
    decision = rng.choice([PenaltyStatus.CONFIRMED, PenaltyStatus.CONFIRMED, PenaltyStatus.WAIVED])
    yield Step(noon(on_day(after, 17)), act=partial(notify, month, rng.random() < 0.4))
    yield Step(noon(on_day(after.next, 18)), act=partial(punish, month, decision))


# -- what people do ----------------------------------------------------------------------------------------------------


def begin(life: Life, at: datetime) -> None:
    record(life.database, ZERO, "1000", at=at)
    for contract in CONTRACTS:
        register(life.database, contract)


def publish_value(month: Month, value: str, is_definitive: bool, life: Life, at: datetime) -> None:
    record(life.database, month, value, is_definitive=is_definitive, at=at)


def renew(life: Life, at: datetime) -> None:
    with life.database.transaction() as tx:
        contracts.decide_period(tx, A.id, 2, is_renewed=True, decided_on=at.date(), at=at)


def raise_prices(life: Life, _: datetime) -> None:
    with life.database.transaction() as tx:
        for contract in (A, C):
            publish(tx, contract, date(2027, 1, 1), (replace(PRICES[0], unit_price_cents=925), *PRICES[1:]))


def amend(life: Life, at: datetime) -> None:
    with life.database.transaction() as tx:
        _, touched = contracts.amend_contract(tx, A.id, AMENDMENT, rows=rows_of("contracts"), at=at)
    assert touched == []


def expire(month: Month, life: Life, at: datetime) -> None:
    for contract in CONTRACTS:
        with life.database.transaction() as tx:
            expire_holds(tx, contract.id, before=month.first_day, at=at, limit=100)


def decide(order_id: str, leg: int, verdict: str, life: Life, at: datetime) -> None:
    """Say what the buyer thinks of a leg, if there is something to say it about."""
    with life.database.transaction() as tx:
        if not queries.list_charges(tx, Sight(), ChargeFilter(order_id=order_id), limit=1):
            return  # it was refused
        charge = acceptance.lock(tx, order_id, leg)
        settlement = charge.settlement
        if settlement is None or not settlement.is_billable or charge.statement_id:
            return
        match verdict:
            case "accept":
                acceptance.accept(tx, charge, by=MARIE, at=at)
            case "dispute":
                acceptance.dispute(tx, charge, "Sac mouillé", by=MARIE, at=at)
            case "cut":
                line = settlement.lines[0]
                acceptance.reduce(tx, charge, [Cut(line.code, line.amount_cents // 3, "Retard")], by=MARIE, at=at)
            case "reject":
                acceptance.reject(tx, charge, "Jamais reçu", by=MARIE, at=at)


def close(contract: Contract, month: Month, life: Life, at: datetime) -> None:
    with life.database.transaction() as tx:
        done = use_cases.close_month(tx, contract.id, month, at=at)
    if life.is_replay:
        with life.database.transaction() as tx:
            again = use_cases.close_month(tx, contract.id, month, at=at + timedelta(hours=1))
        assert (again.is_new, again.statements) == (False, done.statements)
    for statement in done.statements:
        life.closed[contract.reference, month, statement.seller.id] = statement
    life.standings.append(Standing.of(life.database, contract, month))


def credit(key: tuple[str, Month, str], pick: int, part: int | None, is_anew: bool, life: Life, at: datetime) -> None:
    statement = life.closed.get(key)
    legs = life.charges_of(statement) if statement else []
    if statement is None or not legs:
        return
    charge = legs[pick % len(legs)]
    before = Standing.of(life.database, contract_of(life.database, statement.contract_id), key[1])
    asked = Asked(charge.order_id, charge.leg, charge.due_cents // part if part else None)
    with life.database.transaction() as tx:
        note = crediting.credit(
            tx, statement.id, [asked], reason="Erreur de facturation", is_billed_anew=is_anew, at=at
        )
    after = Standing.of(life.database, contract_of(life.database, statement.contract_id), key[1])
    life.credits.append(Credit(note, charge, before, after))
    if is_anew:
        bill_anew(key, life, at + timedelta(hours=1))


def tell(key: tuple[str, Month, str], status: Status, life: Life, at: datetime) -> None:
    if key in life.closed:
        told = ToldStatus(f"s-{at:%y%m}", status, at, reason="Motif")
        for _ in range(1 + life.is_replay):
            with life.database.transaction() as tx:
                hear_status(tx, life.closed[key].id, told, at=at)


def bill_anew(key: tuple[str, Month, str], life: Life, at: datetime) -> None:
    if key in life.closed:
        with life.database.transaction() as tx:
            crediting.bill_anew(tx, life.closed[key].id, at=at)


def notify(month: Month, is_contested: bool, life: Life, at: datetime) -> None:
    with life.database.transaction() as tx:
        for one in penalties_of(tx, Sight(), C.id, month).penalties:
            penalties.notify(tx, one.id, text="", by=MARIE.name, at=at)
            if is_contested:
                told = {"text": "Gardien absent.", "cause": Cause.BUYER_ABSENT, "evidence": ["photo"]}
                penalties.contest(tx, one.id, by="loire", at=at + timedelta(days=2), **told)  # type: ignore[arg-type]


def punish(month: Month, decision: PenaltyStatus, life: Life, at: datetime) -> None:
    with life.database.transaction() as tx:
        for one in penalties_of(tx, Sight(), C.id, month).penalties:
            penalties.decide(tx, one.id, penalties.Decision(decision, "Vu."), by=MARIE.name, at=at)
        told = penalties_of(tx, Sight(), C.id, month)
        for one in told.penalties:
            if decision is PenaltyStatus.CONFIRMED and told.liquidation.due_cents[one.id]:
                penalties.apply(tx, one.id, payment=str(month.next), by=MARIE.name, at=at)


# -- what is seen ------------------------------------------------------------------------------------------------------


def contract_of(database: Database, contract_id: str) -> Contract:
    with database.view() as view:
        return queries.get_contract(view, Sight(), contract_id)


@dataclass(frozen=True)
class Standing:
    """What the ceiling and the scopes said after a step, and what the legs say: held, delivered, accepted, invoiced."""

    month: Month
    use: Consumption
    scopes: tuple[ScopeUse, ...]
    by_legs: Mapping[str, tuple[int, int, int, int]]

    @classmethod
    def of(cls, database: Database, contract: Contract, month: Month) -> "Standing":
        with database.view() as view:
            use = queries.get_consumption(view, Sight(), contract.id)
            structure = use.contract.structure
            sums = {key: [0, 0, 0, 0] for key in ("", *(part.key for part in structure))}
            for row in view.execute(select(charges).where(charges.c.contract_id == contract.id)):
                charge = charge_of(row)
                is_accepted = charge.acceptance in (Acceptance.ACCEPTED, Acceptance.REDUCED)
                account = 0 if charge.settlement is None else 3 if charge.statement_id else 2 if is_accepted else 1
                cents = charge.standing_cents if account else charge.held_cents
                for key in ("", *structure.scopes_of(charge.department_id, charge.service_date, charge.lot)):
                    sums[key][account] += cents
            by_legs = {key: (some[0], some[1], some[2], some[3]) for key, some in sums.items()}
            return cls(month, use, list_scopes(view, use.contract), by_legs)

    def figures(self) -> dict[str, tuple[int, int, int, int]]:
        """Return maximum, held, owed and invoiced by scope; the whole life has no name."""
        return {
            "": figures_of(Gauge.of(self.use.ceiling)),
            **{one.scope.key: figures_of(Gauge.of(one.scope)) for one in self.scopes},
        }


def figures_of(gauge: Gauge) -> tuple[int, int, int, int]:
    return gauge.ceiling_cents, gauge.held_cents, gauge.owed_cents, gauge.invoiced_cents


@dataclass(frozen=True)
class Credit:
    """A note, the leg it credits as it was before, and what stood before and after."""

    note: CreditNote
    charge: Charge
    before: Standing
    after: Standing


@dataclass(frozen=True)
class Paper:
    """A document that was sent: its statement or note, and the bytes kept of it by format."""

    of: Statement | CreditNote
    kept: Mapping[str, bytes]


FORMATS = ("cii", "ubl", "fx-xml")


def papers(view: View) -> list[Paper]:
    """Return every e-invoice, in the order of sellers and numbers."""
    found: list[Paper] = []
    for statement in queries.list_statements(view, Sight(), limit=1000):
        documents = [(format_, Documents(view).get(statement.id, format_)) for format_ in FORMATS]
        found.append(Paper(statement, {format_: one.content for format_, one in documents if one}))
        for note in list_credit_notes(view, Sight(), statement.id):
            if not note.is_internal:
                kept = {one.format: one.content for one in note_documents.all_of(view, note.id)}
                found.append(Paper(note, {format_: kept[format_] for format_ in FORMATS if format_ in kept}))
    return sorted(found, key=lambda paper: (paper.of.seller.siret, paper.of.number))


@pytest.fixture(scope="module")
def script() -> list[Step]:
    return script_of(SEED)


@pytest.fixture(scope="module")
def life(script: list[Step], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('life')}/billing.db", metadata)
    database.upgrade()
    yield Life(database).play(script)
    database.dispose()


@pytest.fixture(scope="module")
def sent(life: Life) -> list[Paper]:
    with life.database.view() as view:
        return papers(view)


@pytest.fixture
def view(life: Life) -> Iterator[View]:
    with life.database.view() as view:
        yield view


# -- the tests ---------------------------------------------------------------------------------------------------------


def statements_in(sent: Sequence[Paper], *contracts: Contract) -> list[Statement]:
    ids = {contract.id for contract in contracts or CONTRACTS}
    return [paper.of for paper in sent if isinstance(paper.of, Statement) and paper.of.contract_id in ids]


def test_everything_that_can_happen_happened(life: Life, sent: list[Paper], view: View) -> None:
    """Without this the generator could dry up, and all that follows would hold of nothing."""
    legs = [charge_of(row) for row in view.execute(select(charges))]
    rules = Counter(leg.settlement.rule for leg in legs if leg.settlement)
    assert all(rules[rule] >= 3 for rule in Rule), rules
    assert {leg.acceptance for leg in legs} >= set(Acceptance) - {Acceptance.DISPUTED}
    refusals = Counter(view.execute(select(holds.c.refusal_code)).scalars())
    assert refusals["ceiling-exceeded"] >= 3, refusals
    statements = statements_in(sent)
    months = {(one.contract_id, one.seller.id): set[Month]() for one in statements}
    for one in statements:
        months[one.contract_id, one.seller.id].add(one.month)
    assert {key: len(some) >= 20 for key, some in months.items()} == dict.fromkeys(
        [(A.id, "erdre"), (B.id, "sevre"), (C.id, "loire"), (C.id, "erdre")], True
    )
    corrected = [
        item.amount_cents for one in statements_in(sent, A) for item in one.items if item.code == REGULARISATION
    ]
    assert min(corrected) < 0 < max(corrected)
    assert len({item.coefficient for one in statements_in(sent, A) for item in one.items}) > 9
    credited = Counter((credit.note.contract_reference, credit.note.is_billed_anew) for credit in life.credits)
    assert {("VELO-A", False), ("VELO-B", False), ("VELO-B", True), ("VELO-C", False), ("VELO-C", True)} == set(
        credited
    )
    assert {one.contract_id for one in statements if told_of(view, Sight(), one.id).life.is_dead} == {A.id, B.id, C.id}
    found = Penalties(view).until(C.id, MONTHS[-1])
    assert {one.trigger for one in found} == set(Trigger)
    assert {one.status for one in found} >= {PenaltyStatus.APPLIED, PenaltyStatus.WAIVED}
    assert PenaltyStatus.CONTESTED in {step.status for one in found for step in one.steps}
    assert any(one.allowances for one in statements_in(sent, B))
    assert {item.price_list_version for one in statements_in(sent, A) for item in one.items} == {0, 1, 2}
    months_late = [
        one.month.first_day > leg.settlement.settled_on
        for one in statements_in(sent)
        for leg in queries.lines_of(view, one.id)
        if leg.settlement
    ]
    assert sum(months_late) > 9


def test_every_document_passes_all_layers(sent: list[Paper]) -> None:
    for paper in sent:
        is_for_a_service = paper.of.contract_id == C.id
        assert list(paper.kept) == ["cii", "ubl", *["fx-xml"] * is_for_a_service]
        for format_, content in paper.kept.items():
            assert (paper.of.number, format_, fatal(validate(content))) == (paper.of.number, format_, [])


def test_every_document_says_what_was_frozen(sent: list[Paper]) -> None:
    for paper in sent:
        one, permille = paper.of, 0 if paper.of.contract_id == B.id else 200
        assert [tax.permille for tax in one.taxes] == [permille]
        prepaid_cents = one.prepaid_cents if isinstance(one, Statement) else 0
        for content in paper.kept.values():
            reading = Reading.of(content)
            assert reading.one("BT-1") == one.number
            assert ("extended" in reading.one("BT-24")) == (one.contract_id == C.id)
            figures = reading.figures
            told = [figures.net, figures.tax, figures.gross, figures.prepaid, figures.due]
            frozen = [one.net_cents, one.tax_cents, one.gross_cents, prepaid_cents, one.gross_cents - prepaid_cents]
            assert [int(amount * 100) for amount in told] == frozen
            if isinstance(one, CreditNote):
                assert reading.one("BT-25") == one.statement_number


def test_a_statement_is_its_legs_and_what_it_corrects(sent: list[Paper], view: View) -> None:
    billed: Counter[tuple[str, int]] = Counter()
    for one in statements_in(sent):
        legs = queries.lines_of(view, one.id)
        shares = [share for shares in Revisions(view).shares_of(one.id) for share in shares]
        assert len(legs) == one.legs
        assert sum(leg.due_cents for leg in legs) + sum(share.amount_cents for share in shares) == one.net_cents
        assert sum(part.amount_cents for part in one.departments) == one.net_cents
        corrected = [item.amount_cents for item in one.items if item.code == REGULARISATION]
        assert sum(corrected) == sum(share.amount_cents for share in shares)
        assert all(leg.settlement and leg.settlement.settled_on <= one.month.last_day for leg in legs)
        if not told_of(view, Sight(), one.id).life.is_dead:
            billed.update({(leg.order_id, leg.leg): leg.due_cents for leg in legs})
            for share in shares:
                billed[share.order_id, share.leg] += share.amount_cents
    for paper in sent:
        if isinstance(paper.of, CreditNote) and not told_of(view, Sight(), paper.of.statement_id).life.is_dead:
            billed.subtract({(leg.order_id, leg.leg): leg.amount_cents for leg in paper.of.legs})
    for row in view.execute(select(charges)):
        charge = charge_of(row)
        assert billed[charge.order_id, charge.leg] == (charge.due_cents if charge.statement_id else 0), charge


def test_every_month_agrees_in_every_scope(life: Life) -> None:
    assert len(life.standings) == len(CONTRACTS) * len(MONTHS)
    for standing in (*life.standings, *(one.after for one in life.credits)):
        assert standing.use.is_balanced
        assert sum(standing.use.accounts.values()) == 0
        assert all(scope.is_balanced for scope in standing.scopes)
        for key, (maximum, held, owed, invoiced) in standing.figures().items():
            by_legs = standing.by_legs[key]
            assert (held, owed, invoiced) == (by_legs[0], by_legs[1] + by_legs[2], by_legs[3])
            assert 0 <= sum(by_legs) <= maximum


def test_a_closed_month_froze_what_stood_then(life: Life, sent: list[Paper]) -> None:
    for standing in life.standings:
        contract = standing.use.contract
        of_month = [one for one in statements_in(sent, contract) if one.month == standing.month and not one.replaces]
        if not of_month:
            continue
        last = max(of_month, key=lambda one: one.seller.siret)
        frozen = {"": last.gauge, **{scope.key: scope.gauge for scope in last.scopes}}
        assert {key: figures_of(gauge) for key, gauge in frozen.items()} == standing.figures()


def test_a_credit_goes_back_to_the_scopes_of_the_delivery_and_to_no_other(life: Life) -> None:
    for credit in life.credits:
        (leg,) = credit.note.legs
        structure = credit.before.use.contract.structure
        concerned = {"", *structure.scopes_of(leg.department_id, leg.service_date, credit.charge.lot)}
        expected = credit.before.figures()
        for key in concerned:
            maximum, held, owed, invoiced = expected[key]
            if credit.note.is_billed_anew:
                owed += credit.charge.standing_cents
            expected[key] = maximum, held, owed, invoiced - leg.amount_cents
        assert credit.after.figures() == expected
        if credit.note.contract_id == A.id:
            assert f"period:{1 if leg.service_date.year == 2026 else 2}" in concerned


def test_numbers_follow_each_other_by_seller_and_year(sent: list[Paper], view: View) -> None:
    series: dict[tuple[str, int], list[str]] = {}
    for paper in sent:
        series.setdefault((paper.of.seller.siret, paper.of.issued_on.year), []).append(paper.of.number)
    assert {siret for siret, _ in series} == {ERDRE.siret, LOIRE.siret, SEVRE.siret}
    for (_, year), numbers in series.items():
        assert sorted(numbers) == [f"{year}-{count:05d}" for count in range(1, len(numbers) + 1)]
    internal: dict[tuple[str, int], list[str]] = {}
    for row in view.execute(select(credit_notes).where(credit_notes.c.is_internal)):
        internal.setdefault((row.seller_siret, int(row.number[4:8])), []).append(row.number)
    for (_, year), numbers in internal.items():
        assert sorted(numbers) == [f"INT-{year}-{count:05d}" for count in range(1, len(numbers) + 1)]


def test_the_advance_is_taken_back_once_and_whole(sent: list[Paper], view: View) -> None:
    took = [
        (one.seller.id, one.prepaid_cents)
        for one in statements_in(sent)
        if one.prepaid_cents and not told_of(view, Sight(), one.id).life.is_dead
    ]
    assert {seller_id for seller_id, _ in took} == {C.lead.id}
    assert sum(cents for _, cents in took) == ADVANCE_CENTS
    assert len(took) > 3


def test_penalties_are_no_part_of_an_invoice(sent: list[Paper], view: View) -> None:
    codes = {line.code for line in (*PRICES,)} | {REGULARISATION, *SHARE_CODES.values()}
    assert {item.code for one in statements_in(sent) for item in one.items} <= codes
    found = Penalties(view).until(C.id, MONTHS[-1])
    applied_cents = sum(one.amount_cents for one in found if one.status is PenaltyStatus.APPLIED)
    due = penalties_of(view, Sight(), C.id, MONTHS[-1]).liquidation
    assert due.is_cap_reached
    assert applied_cents == due.total_cents == due.cap_cents == C.ceiling_cents * 50 // 1000


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.reference)
def test_a_pack_opens_and_its_papers_are_archive_documents(life: Life, view: View, contract: Contract) -> None:
    """Of each contract, one month that was corrected by a note; printing all would take minutes."""
    note = next(one.note for one in life.credits if one.note.contract_id == contract.id)
    statement = queries.get_statement(view, Sight(), note.statement_id)
    with (
        pack.pack(life.database, statement, at=note.issued_at).zipped() as (file, _),
        ZipFile(file) as archive,
    ):
        listed = json.loads(archive.read("manifeste.json"))["files"]
        contents = {name: archive.read(name) for name in archive.namelist() if name != "manifeste.json"}
    assert {one["file"]: one["sha256"] for one in listed} == {
        name: sha256(content).hexdigest() for name, content in contents.items()
    }
    subjects = {name.split("-")[0] for name in contents}
    assert subjects == {
        "avoir",
        "co2",
        "consommation",
        "etat",
        "facture",
        "livraisons",
        *["revision"] * (contract is A),
    }
    carried = "fx" if contract is C else "cii"
    for paper, number in (("facture", statement.number), ("avoir", note.number)):
        seller = statement.seller.id
        printed = contents[f"{paper}-{seller}-{number}.pdf"]
        name = f"{paper}-{carried}-{seller}-{number}.xml"
        assert fatal(pdf_findings(printed, contents[name])) == []
        with pikepdf.open(io.BytesIO(printed)) as pdf:
            marks = pdf.open_metadata()
            assert (marks["pdfaid:part"], marks["pdfaid:conformance"]) == ("3", "B")
            assert str(pdf.Root.OutputIntents[0].S) == "/GTS_PDFA1"


Left = tuple[Mapping[tuple[str, str], tuple[int, int, Mapping[str, bytes]]], Sequence[object], Sequence[object]]


def left_behind(life: Life) -> Left:
    """Return all that a history leaves behind, without the ids that are drawn anew each time."""
    with life.database.view() as view:
        sent = {
            (paper.of.seller.siret, paper.of.number): (paper.of.net_cents, paper.of.tax_cents, paper.kept)
            for paper in papers(view)
        }
        due = [
            (one.reference, one.leg, one.rule_code, one.status, one.amount_cents)
            for one in Penalties(view).until(C.id, MONTHS[-1])
        ]
    return sent, sorted(due), [(standing.month, standing.figures()) for standing in life.standings]


def test_topics_replayed_into_an_empty_database_leave_the_same_behind(
    life: Life, script: list[Step], either_database: Database
) -> None:
    """One event at a time, each three times, facts in another order, and all of them again after what people did."""
    replayed = left_behind(Life(either_database, is_replay=True).play(script))
    for one, other in zip(left_behind(life), replayed, strict=True):
        assert one == other
