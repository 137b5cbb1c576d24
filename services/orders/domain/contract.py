"""A public contract as this service knows it from billing: who may order under it, when, and until when for free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.orders.domain.errors import NoContract, UnknownContract, WhichContract


@dataclass(frozen=True, slots=True)
class Department:
    """A city department that may order: short code and name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CeilingWarning:
    """Billing said that what is committed crossed a threshold of the ceiling, or of one part of the contract.

    `scope_name` is what people call that part, in French; empty for the whole contract.
    """

    threshold_percent: int
    ceiling_cents: int
    left_cents: int
    crossed_at: datetime
    scope_name: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """The last terms heard; both dates are included and local to `zone`."""

    id: str
    reference: str
    title: str
    departments: tuple[Department, ...]
    starts_on: date
    ends_on: date
    zone: str
    cutoff_minutes: int
    registered_at: datetime
    warning: CeilingWarning | None = None

    def covers(self, day: date) -> bool:
        """Return whether orders of that local day fall under it."""
        return self.starts_on <= day <= self.ends_on

    def is_open_to(self, department_id: str) -> bool:
        """Return whether the department may order under it."""
        return any(department.id == department_id for department in self.departments)

    def local_day(self, instant: datetime) -> date:
        """Return the local date of an instant."""
        return instant.astimezone(ZoneInfo(self.zone)).date()

    def cutoff_at(self, pickup_start: datetime) -> datetime:
        """Return the last instant at which a leg whose pickup window opens then can be given up for nothing."""
        return pickup_start - timedelta(minutes=self.cutoff_minutes)


def choose(contracts: Sequence[Contract], *, department_id: str, day: date, contract_id: str | None) -> Contract:
    """Return the contract that an order of this department and day falls under.

    Raises
    ------
    UnknownContract
        When the named contract does not exist or is not open to the department.
    NoContract
        When none applies on that day.
    WhichContract
        When several apply and none is named.
    """
    open_ones = [contract for contract in contracts if contract.is_open_to(department_id)]
    if contract_id is not None:
        named = [contract for contract in open_ones if contract.id == contract_id]
        if not named:
            raise UnknownContract(
                "Ce marché n'est pas ouvert à votre service ; choisissez-en un dans la liste des marchés.",
                pointer="/contract_id",
                contract_id=contract_id,
            )
        if not named[0].covers(day):
            raise NoContract(
                f"Le marché {named[0].reference} court du {named[0].starts_on:%d/%m/%Y} au "
                f"{named[0].ends_on:%d/%m/%Y} ; choisissez une date dans cette période.",
                pointer="/contract_id",
                date=day.isoformat(),
                contract_id=contract_id,
            )
        return named[0]
    applying = [contract for contract in open_ones if contract.covers(day)]
    if not applying:
        raise NoContract(
            f"Aucun marché ne permet à votre service de commander pour le {day:%d/%m/%Y} ; "
            "changez la date ou adressez-vous à la commande publique.",
            pointer="/contract_id",
            date=day.isoformat(),
        )
    if len(applying) > 1:
        raise WhichContract(
            "Plusieurs marchés s'appliquent ; précisez lequel : "
            + ", ".join(f"{contract.reference} ({contract.title})" for contract in applying)
            + ".",
            pointer="/contract_id",
            contracts=[contract.id for contract in applying],
        )
    return applying[0]
