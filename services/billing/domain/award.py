"""How a contract came about and what its public record says of it; nothing here moves money."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from services.billing.domain.ceiling_errors import PartyUnknown, ReasonMissing, SharesIncomplete
from services.kit.errors import DomainError


class AwardKind(StrEnum):
    """By which procedure; the legal thresholds of each are dated rows."""

    INNOVATIVE = "innovative"
    DIRECT = "direct"
    ADAPTED = "adapted"
    FORMAL = "formal"


class Group(StrEnum):
    """How several holders answer for the contract."""

    NONE = "none"
    JOINT = "joint"
    """Each for its share."""
    SEVERAL = "several"
    """Each for all of it."""


@dataclass(frozen=True, slots=True)
class Share:
    """A member's share of the contract in hundredths of a per cent: 3333 is 33.33 %."""

    cooperative_id: str
    permyriad: int


@dataclass(frozen=True, slots=True)
class Subcontractor:
    """Accepted by the buyer for an amount excluding tax; paid directly, so what it rides is the contract's service."""

    name: str
    siret: str
    accepted_on: date
    amount_cents: int
    months: int
    price_variation: str
    published_on: date | None = None


@dataclass(frozen=True, slots=True)
class Award:
    """What the essential data of a French public contract tell besides its parties, dates and amounts.

    `procedure`, `techniques`, `modalities`, `ccag`, `price_types`, `price_form`, `social` and `environmental` are the
    official vocabulary. `advance_permille` is None when no advance is granted, 0 when its rate is not known.
    `published_on` is None while nothing was published. `reason` says in writing why an innovative service is one.
    """

    kind: AwardKind
    cpv: str
    procedure: str
    offers_received: int
    place_code: str
    place_code_type: str
    notified_on: date
    reason: str = ""
    nature: str = "Marché"
    techniques: tuple[str, ...] = ("Accord-cadre",)
    modalities: tuple[str, ...] = ("Bons de commande",)
    ccag: str = "Fournitures courantes et services"
    advance_permille: int | None = None
    group: Group = Group.NONE
    shares: tuple[Share, ...] = ()
    price_types: tuple[str, ...] = ("Définitif ferme",)
    price_form: str = "Unitaire"
    social: tuple[str, ...] = ("Pas de considération sociale",)
    environmental: tuple[str, ...] = ("Pas de considération environnementale",)
    published_on: date | None = None
    subcontractors: tuple[Subcontractor, ...] = ()

    def faults(self, cooperatives: Collection[str]) -> list[DomainError]:
        """Return all that contradicts the contract."""
        faults: list[DomainError] = []
        if self.kind is AwardKind.INNOVATIVE and not self.reason.strip():
            faults.append(ReasonMissing())
        named = [share.cooperative_id for share in self.shares]
        faults.extend(
            PartyUnknown(one, f"/award/shares/{index}") for index, one in enumerate(named) if one not in cooperatives
        )
        total = sum(share.permyriad for share in self.shares)
        if self.shares and (total != 10_000 or sorted(named) != sorted(cooperatives)):
            faults.append(SharesIncomplete())
        return faults
