"""Whatever happens to legs, statements, notes and prices in whatever order: the money agrees, numbers have no gap."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import func, select

from services.billing import queries, use_cases
from services.billing.domain.acceptance import Decider
from services.billing.domain.charge import Acceptance, Cut, Fact
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import Asked
from services.billing.domain.month import Month
from services.billing.domain.revision import CeilingBasis, IndexStatus, IndexWeight, RevisionTerms, shifted
from services.billing.domain.status import Status, ToldStatus
from services.billing.domain.structure import Budget, Lot, Period, Structure
from services.billing.domain.structure import Decision as PeriodDecision
from services.billing.queries import Sight
from services.billing.queries.scopes import list_scopes
from services.billing.repository import charge_of
from services.billing.repository.revision import Revisions
from services.billing.tables import charges, credit_notes, credited_legs, metadata, statements
from services.billing.use_cases import acceptance, indices
from services.billing.use_cases import credit_notes as crediting
from services.billing.use_cases.statuses import hear_status
from services.kit.database import Database, Transaction
from services.kit.errors import DomainError
from tests.billing.builders import (
    PRICES,
    a_contract,
    a_leg_to_price,
    an_order,
    cancelled,
    failed,
    handed_over,
    hold,
    lapsed,
    publish,
    register,
    settle,
)

START = datetime(2026, 1, 20, 9, tzinfo=UTC)
MARIE = Decider("finances", "Marie, finances")
CEILING_CENTS = 12_000
STRUCTURE = Structure(
    (
        Period(1, date(2026, 1, 1), date(2026, 3, 31), 9_000, PeriodDecision.FIRM),
        Period(2, date(2026, 4, 1), date(2027, 12, 31), CEILING_CENTS, PeriodDecision.TACIT),
    ),
    (Lot(1, "Linge", "64120000", CEILING_CENTS),),
    (Budget(8_000, "proprete", 2026),),
)
SELLERS = st.sampled_from(["erdre", "loire"])
PICKS = st.integers(0, 99)
T = TypeVar("T")


class LifeOfLegs(RuleBasedStateMachine):
    """One small contract, two sellers, a real database; each rule is one transaction on one day of the year."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name)}/billing.db", metadata)
        self.database.upgrade()
        self.now = START
        self.contract = register(self.database, self.terms())
        self.orders: list[str] = []
        self.closed: list[str] = []
        self.taken_off: list[str] = []
        self.is_news = False
        self.facts: list[Fact] = []
        self.statuses: list[tuple[str, ToldStatus]] = []

    def terms(self) -> Contract:
        """Return the contract they live under."""
        return a_contract(ceiling_cents=CEILING_CENTS, verification_days=3, structure=STRUCTURE)

    def teardown(self) -> None:
        self.database.dispose()
        self.folder.cleanup()

    def do(self, act: Callable[[Transaction], T]) -> T | None:
        """Run one transaction a while later; a refusal changes nothing, which the invariants see."""
        self.now += timedelta(hours=5)
        with suppress(DomainError), self.database.transaction() as tx:
            return act(tx)
        return None

    @rule(legs=st.lists(st.tuples(st.integers(1, 8), st.booleans(), SELLERS), min_size=1, max_size=4))
    def order(self, legs: list[tuple[int, bool, str]]) -> None:
        """Place orders of so many bundles; most are delivered at once."""
        for bundles, is_waiting, seller in legs:
            self.now += timedelta(hours=5)
            leg = a_leg_to_price(service_date=self.now.date(), loads={"ballot-linge": bundles})
            placed = an_order(self.contract, legs=[leg])
            if hold(self.database, placed, at=self.now):
                self.orders.append(placed.id)
                if not is_waiting:
                    self.hear(handed_over(placed.id, occurred_at=self.now, cooperative_id=seller))

    @precondition(lambda self: self.orders)
    @rule(pick=PICKS, fact=st.sampled_from([handed_over, failed, cancelled, lapsed]), counted=st.integers(0, 9))
    def end(self, pick: int, fact: Callable[[str], Fact], counted: int) -> None:
        told = fact(self.orders[pick % len(self.orders)])
        self.hear(replace(told, occurred_at=self.now, counted={"ballot-linge": counted}))

    def hear(self, told: Fact) -> None:
        self.is_news = True
        self.facts.append(told)
        settle(self.database, told, at=self.now)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Hear some of what was heard again, in another order."""
        for told in data.draw(st.permutations(self.facts[-6:])):
            settle(self.database, told, at=self.now)
        for statement_id, status in self.statuses[-3:]:
            self.tell_of(statement_id, status)

    @precondition(lambda self: self.orders)
    @rule(pick=PICKS, verb=st.sampled_from(["accept", "dispute", "reject"]))
    def decide(self, pick: int, verb: str) -> None:
        def act(tx: Transaction) -> None:
            charge = acceptance.lock(tx, self.orders[pick % len(self.orders)], 1)
            if verb == "accept":
                acceptance.accept(tx, charge, by=MARIE, at=self.now)
            else:
                (acceptance.dispute if verb == "dispute" else acceptance.reject)(
                    tx, charge, "Motif", by=MARIE, at=self.now
                )

        self.do(act)

    @precondition(lambda self: self.orders)
    @rule(pick=PICKS, cents=st.integers(0, 900))
    def reduce(self, pick: int, cents: int) -> None:
        def act(tx: Transaction) -> None:
            charge = acceptance.lock(tx, self.orders[pick % len(self.orders)], 1)
            code = charge.settlement.lines[0].code if charge.settlement and charge.settlement.lines else "COURSE"
            acceptance.reduce(tx, charge, [Cut(code, cents, "Motif")], by=MARIE, at=self.now)

        self.do(act)

    @precondition(lambda self: self.is_news)
    @rule(more_cents=st.integers(-300, 300))
    def reprice(self, more_cents: int) -> None:
        lines = (replace(PRICES[0], unit_price_cents=900 + more_cents), *PRICES[1:])
        self.do(lambda tx: publish(tx, self.contract, self.now.date() + timedelta(days=1), lines))

    @precondition(lambda self: self.is_news)
    @rule(day=st.integers(1, 6))
    def close(self, day: int) -> None:
        """Go to a day of the next month and close the one before."""
        month = Month.of(self.now.date())
        first = month.next.first_day
        self.now = datetime(first.year, first.month, day, 9, tzinfo=UTC)
        done = self.do(lambda tx: use_cases.close_month(tx, self.contract.id, month, at=self.now))
        assert done is not None
        self.is_news = False
        self.closed += [statement.id for statement in done.statements]

    @precondition(lambda self: self.closed)
    @rule(pick=PICKS, leg=PICKS, cents=st.none() | st.integers(0, 1500), anew=st.booleans())
    def credit(self, pick: int, leg: int, cents: int | None, anew: bool) -> None:
        statement_id = self.closed[pick % len(self.closed)]
        with self.database.view() as view:
            legs = queries.lines_of(view, statement_id)
        if not legs:
            return  # it corrects earlier ones only
        if anew:
            self.taken_off.append(statement_id)
        asked = Asked(legs[leg % len(legs)].order_id, 1, cents)
        self.do(
            lambda tx: crediting.credit(tx, statement_id, [asked], reason="Motif", is_billed_anew=anew, at=self.now)
        )

    @precondition(lambda self: self.closed)
    @rule(pick=PICKS, status=st.sampled_from([Status.AVAILABLE, Status.SUSPENDED, Status.REFUSED]))
    def tell(self, pick: int, status: Status) -> None:
        told = ToldStatus(f"{status}-{len(self.statuses)}", status, self.now, reason="Motif")
        self.statuses.append((self.closed[pick % len(self.closed)], told))
        self.tell_of(*self.statuses[-1])
        if status is Status.REFUSED:
            self.taken_off.append(self.statuses[-1][0])

    def tell_of(self, statement_id: str, told: ToldStatus) -> None:
        self.do(lambda tx: hear_status(tx, statement_id, told, at=self.now))

    @precondition(lambda self: self.taken_off)
    @rule()
    def bill_anew(self) -> None:
        statement_id = self.taken_off.pop()
        corrected = self.do(lambda tx: crediting.bill_anew(tx, statement_id, at=self.now))
        if corrected is not None:
            self.closed.append(corrected.id)

    # -- what is true at all times --

    @invariant()
    def ledger_charges_and_ceiling_say_the_same(self) -> None:
        with self.database.view() as view:
            use = queries.get_consumption(view, Sight(), self.contract.id)
        assert use.is_balanced
        assert sum(use.accounts.values()) == 0
        assert 0 <= use.ceiling.left_cents <= CEILING_CENTS
        reached = [level for level in (50, 75, 90, 100) if use.ceiling.committed_cents * 100 >= level * CEILING_CENTS]
        assert use.ceiling.reached_percent == max(reached, default=0)

    @invariant()
    def every_scope_holds_what_its_legs_say(self) -> None:
        """Each leg counts in the scopes of its own service date, whenever it is settled, invoiced or credited."""
        expected = {part.key: [0, 0, 0] for part in STRUCTURE}
        with self.database.view() as view:
            parts = list_scopes(view, self.contract)
            for row in view.execute(select(charges)):
                account = 0 if row.outcome is None else 1 if row.statement_id is None else 2
                for key in STRUCTURE.scopes_of(row.department_id, row.service_date, row.lot):
                    expected[key][account] += row.amount_cents if account else row.held_cents
        for part in parts:
            scope = part.scope
            assert part.is_balanced
            assert [scope.held_cents, scope.owed_cents, scope.invoiced_cents] == expected[scope.key]

    @invariant()
    def numbers_have_no_gap(self) -> None:
        with self.database.view() as view:
            rows = view.execute(
                select(statements.c.seller_siret, statements.c.number).union_all(
                    select(credit_notes.c.seller_siret, credit_notes.c.number).where(~credit_notes.c.is_internal)
                )
            ).all()
            internal = view.execute(
                select(credit_notes.c.seller_siret, credit_notes.c.number).where(credit_notes.c.is_internal)
            ).all()
        for numbers, start in ((rows, ""), (internal, "INT-")):
            by_series: dict[tuple[str, str], list[str]] = {}
            for row in numbers:
                assert len(row.number) <= 20
                year = row.number.removeprefix(start)[:4]
                by_series.setdefault((row.seller_siret, year), []).append(row.number)
            for (_, year), given in by_series.items():
                assert sorted(given) == [f"{start}{year}-{count:05d}" for count in range(1, len(given) + 1)]

    @invariant()
    def each_leg_is_billed_at_most_once_net_of_credits(self) -> None:
        with self.database.view() as view:
            billed: dict[str, int] = {}
            told: dict[str, int] = {}
            for one in queries.list_statements(view, Sight(), limit=1000):
                legs = queries.lines_of(view, one.id)
                shares = [share for shares in Revisions(view).shares_of(one.id) for share in shares]
                shares_cents = sum(share.amount_cents for share in shares)
                assert sum(leg.due_cents for leg in legs) + shares_cents == one.net_cents
                assert sum(part.amount_cents for part in one.departments) == one.net_cents
                assert len(legs) == one.legs
                for leg in legs:
                    billed[leg.order_id] = billed.get(leg.order_id, 0) + leg.due_cents
                for order_id in dict.fromkeys(share.order_id for share in shares):
                    told[order_id] = sum(part.amount_cents for part in Revisions(view).of_leg(order_id, 1))
            sums = select(credited_legs.c.order_id, func.sum(credited_legs.c.amount_cents).label("cents"))
            credited = {row.order_id: int(row.cents) for row in view.execute(sums.group_by(credited_legs.c.order_id))}
            rows = {row.order_id: row for row in view.execute(select(charges))}
        for order_id, cents in billed.items():
            row = rows[order_id]
            net_cents = cents + told.get(order_id, 0) - credited.get(order_id, 0)
            charge = charge_of(row)
            # Of a leg whose statement was refused, what another one corrected stays billed until it is billed anew.
            pending_cents = charge.revised.corrected_cents if charge.revised else 0
            assert net_cents == (charge.due_cents if row.statement_id else pending_cents)
            assert row.acceptance != Acceptance.DISPUTED.value or row.statement_id is None


class LifeOfRevisedLegs(LifeOfLegs):
    """The same under a revision clause, while values are published late and changed by their publisher."""

    basis = CeilingBasis.REVISED

    def terms(self) -> Contract:
        self.publish_value(Month(2025, 12), 1000, is_definitive=True)
        clause = RevisionTerms(
            Decimal("0.15"),
            (IndexWeight("ICHT", Decimal("0.85")),),
            base_month=Month(2025, 12),
            first_month=Month(2026, 1),
            ceiling_basis=self.basis,
        )
        return replace(super().terms(), revision=clause)

    def publish_value(self, month: Month, value: int, *, is_definitive: bool) -> None:
        self.do(
            lambda tx: indices.record_index_value(
                tx,
                "ICHT",
                month,
                Decimal(value),
                status=IndexStatus.DEFINITIVE if is_definitive else IndexStatus.PROVISIONAL,
                published_on=month.last_day,
                source="INSEE",
                at=self.now,
            )
        )

    @rule(months_ago=st.integers(0, 4), value=st.integers(800, 1300), is_definitive=st.booleans())
    def publish(self, months_ago: int, value: int, is_definitive: bool) -> None:
        """Publish a value of this month or an earlier one; after a definitive one there is no other."""
        self.publish_value(shifted(Month.of(self.now.date()), -months_ago), value, is_definitive=is_definitive)


class LifeOfRevisedLegsAtBase(LifeOfRevisedLegs):
    """The same where the maximum excludes what revision adds."""

    basis = CeilingBasis.BASE_PRICE


TestLifeOfLegs = LifeOfLegs.TestCase
TestLifeOfLegs.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestLifeOfRevisedLegs = LifeOfRevisedLegs.TestCase
TestLifeOfRevisedLegs.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestLifeOfRevisedLegsAtBase = LifeOfRevisedLegsAtBase.TestCase
TestLifeOfRevisedLegsAtBase.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
