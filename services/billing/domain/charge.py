"""What one leg of an order came to: estimated when held, settled exactly once by what dispatch says became of it.

A charge can be replayed: it keeps the price list's version, the quantities, the rule and the facts it was settled on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from services.billing.domain.adjustment import Revised
from services.billing.domain.ceiling import LegAmount
from services.billing.domain.contract import Contract
from services.billing.domain.emissions import Ridden
from services.billing.domain.leg_facts import NOTHING_TOLD, LegFacts
from services.billing.domain.money import percent_of, rounded
from services.billing.domain.price_list import Estimate, LegToPrice, Load, PricedLine, Unit


class Outcome(StrEnum):
    """How a leg ended."""

    DELIVERED = "delivered"
    FAILED_CHARGED = "failed_charged"
    CANCELLED_CHARGED = "cancelled_charged"
    RELEASED = "released"


class Rule(StrEnum):
    """Why a leg came to its amount."""

    AS_COUNTED = "as-counted"
    """Handed over: the priced lines at the counted quantities, never above the announced ones."""
    BILLABLE_FAILURE = "billable-failure"
    """Failed by the requester's cause: the contract's percentage of the estimate."""
    LATE_CANCELLATION = "late-cancellation"
    """Cancelled after the cut-off: the contract's percentage of the estimate."""
    FAILURE_NOT_BILLABLE = "failure-not-billable"
    CANCELLED_IN_TIME = "cancelled-in-time"
    LAPSED = "lapsed"
    """Its day passed and nobody rode it."""
    EXPIRED = "expired"
    """Its day passed long ago and dispatch never said what became of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A site, as the order named it."""

    site_id: str
    name: str


@dataclass(frozen=True, slots=True)
class OrderedLeg:
    """One trip of an order: what decides its price, from where and to where."""

    to_price: LegToPrice
    origin: Place
    destination: Place
    promised_until: datetime | None = None
    """The end of the drop's window."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a department asked for under a contract, as billing needs it."""

    id: str
    reference: str
    contract_id: str
    department_id: str
    legs: tuple[OrderedLeg, ...]
    placed_at: datetime | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Amendment:
    """New windows of some legs of an order: until when each drop is promised."""

    order_id: str
    promised_until: Mapping[int, datetime]
    amended_at: datetime
    event_id: str = ""


class HeldLeg(NamedTuple):
    """How one leg is held: its estimate, all that is set aside for it, its lot, the keys of the scopes it counts in."""

    number: int
    estimate: Estimate
    held_cents: int
    lot: int
    scopes: tuple[str, ...]


ORDER_PLACED = "orders.v1.OrderPlaced"
"""Type of the event that asks for a hold, and the cause of its entries."""


@dataclass(frozen=True, slots=True)
class Source:
    """An event that a charge rests on."""

    event_id: str
    type: str
    occurred_at: datetime


class HoldDecision(NamedTuple):
    """The one decision about an order. `refusal_code` and `refusal` are empty when it was held."""

    order_id: str
    contract_id: str
    department_id: str
    reference: str
    is_held: bool
    asked_cents: int
    left_cents: int
    decided_at: datetime
    refusal_code: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class ChargedLine:
    """A line that is owed: `quantity` times unit price. `note` is a French remark, empty when all went as announced."""

    code: str
    label: str
    unit: Unit
    quantity: int
    unit_price_cents: int
    announced: int
    counted: int
    note: str = ""

    @property
    def amount_cents(self) -> int:
        """Exact: both factors are whole numbers."""
        return self.quantity * self.unit_price_cents


class FactKind(StrEnum):
    """The facts of dispatch that end a leg; the last one is that none of them came."""

    HANDED_OVER = "dispatch.v1.StopCompleted"
    FAILED = "dispatch.v1.StopFailed"
    CANCELLED = "dispatch.v1.DeliveryCancelled"
    LAPSED = "dispatch.v1.DeliveryLapsed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Fact:
    """What dispatch says became of a leg.

    `counted` holds what the courier counted, by load kind; a kind not in it was not counted. `is_charged` says that
    the failure is billable or the cancellation late.
    """

    kind: FactKind
    order_id: str
    leg: int
    occurred_at: datetime
    cooperative_id: str = ""
    counted: Mapping[str, int] | None = None
    is_charged: bool = False
    reason_code: str = ""
    reason: str = ""
    note: str = ""
    proof_ids: tuple[str, ...] = ()
    ridden: Ridden | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a leg ended and what is owed for it, with everything needed to explain the amount.

    `settled_on` is the local day that decides the month it is invoiced in; `percent` is what the rule charges. Lines
    are at base prices; `revised_cents` is what they come to where the leg was held at revised ones.
    """

    outcome: Outcome
    rule: Rule
    percent: int
    lines: tuple[ChargedLine, ...]
    cooperative_id: str
    vat_permille: int
    fact: FactKind
    occurred_at: datetime
    settled_at: datetime
    settled_on: date
    reason_code: str = ""
    reason: str = ""
    note: str = ""
    proof_ids: tuple[str, ...] = ()
    event_id: str = ""
    revised_cents: int | None = None

    @property
    def base_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def amount_cents(self) -> int:
        """What is owed for it from now on, until its month is closed."""
        return self.base_cents if self.revised_cents is None else self.revised_cents

    @property
    def is_billable(self) -> bool:
        """Whether it becomes a line of a statement; what was released does not."""
        return self.outcome is not Outcome.RELEASED


class Acceptance(StrEnum):
    """Where the buyer's verification of a settled leg stands."""

    DELIVERED = "delivered"
    """Nobody has said anything yet; silence past the contract's delay accepts it."""
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    """Waits on no statement until it is decided."""
    REDUCED = "reduced"
    """Accepted at a lower price."""
    REJECTED = "rejected"
    """Nothing is due for it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What the buyer takes off one line of a leg, and why; cents excluding tax."""

    code: str
    amount_cents: int
    reason: str


CREDIT_CODE = "AVOIR"
"""Item code of what a credit note takes off; each leg has its own amount."""
CREDITED_EARLIER = "Avoir déjà émis"
"""Why less is due for a leg that is billed anew after a part of it was credited."""
BEYOND_CODE = "PLAFOND"
"""Code of what a revision comes to beyond the maximum, and is not charged."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One leg of an order under a contract, from its hold to its statement.

    `decisions` counts what was decided about it; `credited_cents` is what credit notes took off after it was invoiced.
    `margin_cents` was held on top of the estimate; `lot` is the lot's number, 0 when the contract has none.
    """

    order_id: str
    leg: int
    contract_id: str
    department_id: str
    reference: str
    service_date: date
    origin: Place
    destination: Place
    needs_trailer: bool
    estimate: Estimate
    held_at: datetime
    settlement: Settlement | None = None
    statement_id: str = ""
    statement_number: str = ""
    acceptance: Acceptance = Acceptance.DELIVERED
    cuts: tuple[Cut, ...] = ()
    decisions: int = 0
    credited_cents: int = 0
    margin_cents: int = 0
    lot: int = 0
    ordered_at: datetime | None = None
    promised_until: datetime | None = None
    sources: tuple[Source, ...] = ()
    leg_facts: LegFacts = NOTHING_TOLD
    revised: Revised | None = None
    """Set when its month is closed, where prices are revised."""

    @property
    def held_cents(self) -> int:
        """What was set aside for the leg: its estimate, and the margin for extras."""
        return self.estimate.amount_cents + self.margin_cents

    @property
    def base_held_cents(self) -> int:
        """What was set aside for it, before any revision."""
        return self.estimate.base_cents + self.margin_cents

    @property
    def cut_cents(self) -> int:
        """What the buyer took off."""
        return sum(cut.amount_cents for cut in self.cuts)

    @property
    def full_cents(self) -> int:
        """What it comes to before anything is taken off: at revised prices once its month was closed."""
        if self.revised is not None:
            return self.revised.full_cents
        return self.settlement.amount_cents if self.settlement is not None else 0

    @property
    def taken_off(self) -> tuple[Cut, ...]:
        """What is less than its full price on a statement of this leg, and never more than that.

        What found no room under the maximum, cuts, and what credit notes took off before it.
        """
        beyond = (Cut(BEYOND_CODE, self.revised.beyond_cents, self.revised.beyond),) if self.revised else ()
        credited = Cut(CREDIT_CODE, self.credited_cents, CREDITED_EARLIER)
        taken, left_cents = [], self.full_cents
        for cut in (*beyond, *self.cuts, credited):
            amount_cents = min(cut.amount_cents, left_cents)
            if amount_cents:
                taken.append(replace(cut, amount_cents=amount_cents))
            left_cents -= amount_cents
        return tuple(taken)

    @property
    def due_cents(self) -> int:
        """What is due for the leg: its full price and later corrections, less what is taken off; nothing before it is
        settled or once rejected.
        """
        if self.settlement is None or self.acceptance is Acceptance.REJECTED:
            return 0
        more_cents = self.revised.corrected_cents - self.revised.beyond_cents if self.revised else 0
        return max(0, self.full_cents + more_cents - self.cut_cents - self.credited_cents)

    @property
    def billed_cents(self) -> int:
        """What is due of what its own statement charged, whatever later ones corrected."""
        if self.settlement is None or self.acceptance is Acceptance.REJECTED:
            return 0
        beyond_cents = self.revised.beyond_cents if self.revised else 0
        return max(0, self.full_cents - beyond_cents - self.cut_cents - self.credited_cents)

    @property
    def standing_cents(self) -> int:
        """What it takes of the maximum: what is due, or less where revision is no part of the maximum."""
        if self.settlement is None or self.revised is None or not self.revised.at_base:
            return self.due_cents
        if self.acceptance is Acceptance.REJECTED:
            return 0
        return max(0, self.settlement.base_cents - self.cut_cents - self.revised.given_back_cents)

    def given_back(self, credited_cents: int) -> int:
        """Return what crediting so much of what is due returns to the maximum: the same part of what it takes."""
        if credited_cents == self.due_cents:
            return self.standing_cents
        return rounded(Decimal(self.standing_cents * credited_cents) / self.due_cents)

    @property
    def to_price(self) -> LegToPrice:
        """What decided the estimate, to price the leg by another list."""
        loads = tuple(
            Load(line.load_kind, line.label, line.quantity) for line in self.estimate.lines if line.unit is Unit.LOAD
        )
        return LegToPrice(self.leg, self.service_date, self.needs_trailer, loads, self.leg_facts)

    def counted(self, fact: Fact) -> dict[str, int]:
        """Return how many loads of each kind a fact speaks of: as counted, else as announced."""
        announced = {load.kind: load.count for load in self.to_price.loads}
        return {kind: max(0, (fact.counted or {}).get(kind, count)) for kind, count in announced.items()}

    def settle(self, fact: Fact, contract: Contract, *, at: datetime) -> Settlement:
        """Decide what the leg comes to. It is never more than what was held for it.

        The day that counts is the courier's, but never one that has not come yet: a telephone's clock may be wrong.

        Raises
        ------
        SellerNotInContract
            When a cooperative rode that does not hold the contract.
        """
        outcome, rule, percent = _decide(fact, contract)
        seller = contract.seller(fact.cooperative_id)
        settlement = Settlement(
            outcome=outcome,
            rule=rule,
            percent=percent,
            lines=(),
            cooperative_id=seller.id,
            vat_permille=contract.vat_permille_of(seller, self.service_date),
            fact=fact.kind,
            occurred_at=fact.occurred_at,
            settled_at=at,
            settled_on=contract.local_date(min(fact.occurred_at, at)),
            reason_code=fact.reason_code,
            reason=fact.reason,
            note=fact.note,
            proof_ids=fact.proof_ids,
            event_id=fact.event_id,
        )
        if outcome is Outcome.DELIVERED:
            lines, margin_cents = [], self.margin_cents
            for line in self.estimate.lines:
                lines.append(_as_counted(line, fact.counted, margin_cents))
                margin_cents -= max(0, lines[-1].amount_cents - line.amount_cents)
            return self._revised(replace(settlement, lines=tuple(lines)))
        amount_cents = percent_of(self.estimate.base_cents, percent)
        if not amount_cents:
            return replace(settlement, outcome=Outcome.RELEASED)
        return self._revised(replace(settlement, lines=(_share(outcome, percent, amount_cents, fact.reason),)))

    def _revised(self, settlement: Settlement) -> Settlement:
        coefficient = self.estimate.coefficient
        if coefficient is None:
            return settlement
        revised = sum(coefficient.cents(line.quantity, line.unit_price_cents) for line in settlement.lines)
        # Each line is rounded by itself here, and a margin was held at base prices: what was held is the most.
        return replace(settlement, revised_cents=min(revised, self.held_cents))


def leg_amount(contract: Contract, charge: Charge, amount_cents: int) -> LegAmount:
    """Return an amount of a leg with the scopes it counts in: those of its own day, whenever it is moved."""
    scopes = contract.structure.scopes_of(charge.department_id, charge.service_date, charge.lot)
    return LegAmount(charge.order_id, charge.leg, amount_cents, scopes)


def _decide(fact: Fact, contract: Contract) -> tuple[Outcome, Rule, int]:
    match fact.kind:
        case FactKind.HANDED_OVER:
            return Outcome.DELIVERED, Rule.AS_COUNTED, 100
        case FactKind.FAILED if fact.is_charged:
            return Outcome.FAILED_CHARGED, Rule.BILLABLE_FAILURE, contract.rules.failure_percent
        case FactKind.FAILED:
            return Outcome.RELEASED, Rule.FAILURE_NOT_BILLABLE, 0
        case FactKind.CANCELLED if fact.is_charged:
            return Outcome.CANCELLED_CHARGED, Rule.LATE_CANCELLATION, contract.rules.late_cancellation_percent
        case FactKind.CANCELLED:
            return Outcome.RELEASED, Rule.CANCELLED_IN_TIME, 0
        case FactKind.LAPSED:
            return Outcome.RELEASED, Rule.LAPSED, 0
        case FactKind.EXPIRED:
            return Outcome.RELEASED, Rule.EXPIRED, 0


def _as_counted(line: PricedLine, counted_by_kind: Mapping[str, int] | None, margin_cents: int) -> ChargedLine:
    announced = line.quantity
    counted = announced
    if line.unit is Unit.LOAD:
        counted = max(0, (counted_by_kind or {}).get(line.load_kind, announced))
    # More than announced is charged as far as the margin that was held for it goes.
    more = margin_cents // line.unit_price_cents if margin_cents and line.unit_price_cents else 0
    charged = min(counted, announced + more)
    note = ""
    if counted < announced:
        note = f"compté {counted} au lieu de {announced}"
    elif counted > charged:
        rest = "l'excédent n'est pas facturé" if charged == announced else f"{counted - charged} au-delà de la marge"
        note = f"compté {counted} au lieu de {announced}, {rest}"
    elif counted > announced:
        note = f"compté {counted} au lieu de {announced}, dans la marge"
    return ChargedLine(line.code, line.label, line.unit, charged, line.unit_price_cents, announced, counted, note)


SHARE_CODES = {Outcome.FAILED_CHARGED: "ECHEC", Outcome.CANCELLED_CHARGED: "ANNULATION"}
"""Item codes of what is charged by a rule and not by the price list."""


def _share(outcome: Outcome, percent: int, amount_cents: int, reason: str) -> ChargedLine:
    label = (
        f"Échec facturable, {percent}\u00a0% du trajet"
        if outcome is Outcome.FAILED_CHARGED
        else f"Annulation tardive, {percent}\u00a0% du trajet"
    )
    return ChargedLine(SHARE_CODES[outcome], label, Unit.LEG, 1, amount_cents, 1, 1, reason)
