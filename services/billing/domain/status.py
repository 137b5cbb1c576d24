"""What the platform says of a sent statement: statuses come late, twice and in any order, and the state is that of all.

Each is kept with the platform's own id and time. Codes are those of the reform's life cycle (CDAR, UN/CEFACT D22B),
words those of Chorus Pro; three steps of the accountant have a word and no code.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.billing.domain.errors import StatusReasonMissing, StatusUnknown


class Status(StrEnum):
    """A step in the life of a sent statement."""

    DEPOSITED = "deposited"
    ISSUED = "issued"
    RECEIVED = "received"
    AVAILABLE = "available"
    """Starts the payment clock."""
    TAKEN_IN_CHARGE = "taken-in-charge"
    APPROVED = "approved"
    PARTLY_APPROVED = "partly-approved"
    DISPUTED = "disputed"
    SUSPENDED = "suspended"
    """Stops the payment clock, once."""
    COMPLETED = "completed"
    """What was missing came: ends a suspension."""
    MANDATED = "mandated"
    WITH_ACCOUNTANT = "with-accountant"
    BOOKED = "booked"
    PAYMENT_SENT = "payment-sent"
    CASHED = "cashed"
    REFUSED = "refused"
    REJECTED = "rejected"
    VISA = "visa"
    CANCELLED = "cancelled"
    ROUTING_ERROR = "routing-error"
    DIRECT_PAYMENT_ASKED = "direct-payment-asked"
    FACTORED = "factored"
    FACTORED_CONFIDENTIALLY = "factored-confidentially"
    FACTORING_ENDED = "factoring-ended"
    NOT_FACTORED = "not-factored"


CODES = {
    "200": Status.DEPOSITED,
    "201": Status.ISSUED,
    "202": Status.RECEIVED,
    "203": Status.AVAILABLE,
    "204": Status.TAKEN_IN_CHARGE,
    "205": Status.APPROVED,
    "206": Status.PARTLY_APPROVED,
    "207": Status.DISPUTED,
    "208": Status.SUSPENDED,
    "209": Status.COMPLETED,
    "210": Status.REFUSED,
    "211": Status.PAYMENT_SENT,
    "212": Status.CASHED,
    "213": Status.REJECTED,
    "214": Status.VISA,
    "220": Status.CANCELLED,
    "221": Status.ROUTING_ERROR,
    "224": Status.DIRECT_PAYMENT_ASKED,
    "225": Status.FACTORED,
    "226": Status.FACTORED_CONFIDENTIALLY,
    "227": Status.FACTORING_ENDED,
    "228": Status.NOT_FACTORED,
}
WORDS = {
    "Déposée": Status.DEPOSITED,
    "Mise à disposition": Status.AVAILABLE,
    "Service fait": Status.APPROVED,
    "Suspendue": Status.SUSPENDED,
    "Mandatée": Status.MANDATED,
    "Mise à disposition du comptable": Status.WITH_ACCOUNTANT,
    "Comptabilisée": Status.BOOKED,
    "Mise en paiement": Status.PAYMENT_SENT,
    "À recycler": Status.REFUSED,
    "Rejetée": Status.REJECTED,
}
_BY_WORD = {word.casefold(): status for word, status in WORDS.items()}

MOTIVATED = frozenset({Status.DISPUTED, Status.SUSPENDED, Status.REFUSED, Status.REJECTED})
"""Statuses that say why."""
DEAD = frozenset({Status.REFUSED, Status.REJECTED})
"""After one of these the statement never took effect; its number stays used and visible."""
PAID = frozenset({Status.PAYMENT_SENT, Status.CASHED})

PROGRESS = (
    Status.ISSUED,
    Status.DEPOSITED,
    Status.RECEIVED,
    Status.AVAILABLE,
    Status.TAKEN_IN_CHARGE,
    Status.PARTLY_APPROVED,
    Status.APPROVED,
    Status.VISA,
    Status.MANDATED,
    Status.WITH_ACCOUNTANT,
    Status.BOOKED,
    Status.PAYMENT_SENT,
    Status.CASHED,
)
"""The usual way, in its order: the furthest step that was ever told is where a statement stands."""


@dataclass(frozen=True, slots=True)
class ToldStatus:
    """A status with the platform's own id and time."""

    id: str
    status: Status
    occurred_at: datetime
    reason_code: str = ""
    reason: str = ""

    def check(self) -> None:
        """Refuse a status without the reason it must give. Raises StatusReasonMissing."""
        if self.status in MOTIVATED and not self.reason and not self.reason_code:
            raise StatusReasonMissing(french(self.status))


@dataclass(frozen=True, slots=True)
class Life:
    """Where a statement stands, computed from every status that was told of it."""

    state: Status
    is_disputed: bool
    is_suspended: bool

    @property
    def is_dead(self) -> bool:
        """Whether it was refused or rejected."""
        return self.state in DEAD


def status_of(word: str) -> Status:
    """Read a code of the reform or a word of Chorus Pro. Raises StatusUnknown."""
    status = CODES.get(word) or _BY_WORD.get(word.strip().casefold())
    if status is None:
        raise StatusUnknown(word)
    return status


def french(status: Status) -> str:
    """Name a status in French."""
    return _FRENCH[status]


def life_of(told: Collection[ToldStatus]) -> Life:
    """Compute where a statement stands; the order in which statuses came, and repeats, change nothing.

    Refused or rejected wins over everything: the platform knows the number no more. A statement is suspended, or
    disputed, when what says so is later, by the platform's own time, than all that ends it.
    """
    statuses = {one.status for one in told}
    is_suspended = _is_last(told, Status.SUSPENDED, {Status.COMPLETED, *PAID})
    is_disputed = _is_last(told, Status.DISPUTED, {Status.APPROVED, Status.PARTLY_APPROVED, *PAID})
    if statuses & DEAD:
        state = Status.REJECTED if Status.REJECTED in statuses else Status.REFUSED
        return Life(state, is_disputed=False, is_suspended=False)
    furthest = max((PROGRESS.index(status) for status in statuses if status in PROGRESS), default=0)
    state = PROGRESS[furthest]
    if is_suspended:
        state = Status.SUSPENDED
    elif is_disputed:
        state = Status.DISPUTED
    return Life(state, is_disputed, is_suspended)


def _is_last(told: Iterable[ToldStatus], status: Status, ends: Collection[Status]) -> bool:
    began = [one.occurred_at for one in told if one.status is status]
    ended = [one.occurred_at for one in told if one.status in ends]
    return bool(began) and (not ended or max(ended) < max(began))


_FRENCH = {
    Status.DEPOSITED: "déposé",
    Status.ISSUED: "émis",
    Status.RECEIVED: "reçu",
    Status.AVAILABLE: "mis à disposition",
    Status.TAKEN_IN_CHARGE: "pris en charge",
    Status.APPROVED: "service fait",
    Status.PARTLY_APPROVED: "approuvé en partie",
    Status.DISPUTED: "en litige",
    Status.SUSPENDED: "suspendu",
    Status.COMPLETED: "complété",
    Status.MANDATED: "mandaté",
    Status.WITH_ACCOUNTANT: "mis à disposition du comptable",
    Status.BOOKED: "comptabilisé",
    Status.PAYMENT_SENT: "mis en paiement",
    Status.CASHED: "encaissé",
    Status.REFUSED: "refusé (à recycler)",
    Status.REJECTED: "rejeté",
    Status.VISA: "visé",
    Status.CANCELLED: "annulé",
    Status.ROUTING_ERROR: "erreur de routage",
    Status.DIRECT_PAYMENT_ASKED: "paiement direct demandé",
    Status.FACTORED: "affacturé",
    Status.FACTORED_CONFIDENTIALLY: "affacturé en confidentialité",
    Status.FACTORING_ENDED: "changement de compte à payer",
    Status.NOT_FACTORED: "non affacturé",
}
