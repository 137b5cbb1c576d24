"""How a contract's parts, policy, award and amendments look at the edge. Amounts are decimal text excluding tax."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from services.billing.api.shapes import Amount, PartyId, WholePercent
from services.billing.domain import award as awarding
from services.billing.domain.amendment import Amendment
from services.billing.domain.award import Award, AwardKind, Group
from services.billing.domain.contract import Contract
from services.billing.domain.money import cents, decimal_text
from services.billing.domain.policy import Beyond, HoldPolicy
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.kit.http.edge import Body

Number = Annotated[int, Field(ge=1, le=999, strict=True)]
Cpv = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}(-[0-9])?$"), Field(examples=["64120000"])]
Words = Annotated[str, StringConstraints(max_length=2000)]
Share = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,2})?$"), Field(examples=["33.33"])]
SignedAmount = Annotated[str, StringConstraints(pattern=r"^-?\d{1,12}(\.\d{1,2})?$"), Field(examples=["6000.00"])]
LoadKind = Annotated[str, StringConstraints(max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


class PeriodBody(Body):
    """A firm period or a renewal; both dates included. An explicit renewal runs once it has a decision date."""

    number: Number
    starts_on: date
    ends_on: date
    maximum: Amount
    decision: Decision
    decided_on: date | None = None

    def to_domain(self) -> Period:
        """Return the period in cents."""
        return Period(self.number, self.starts_on, self.ends_on, cents(self.maximum), self.decision, self.decided_on)

    @classmethod
    def of(cls, period: Period) -> Self:
        """Show a period."""
        return cls(
            number=period.number,
            starts_on=period.starts_on,
            ends_on=period.ends_on,
            maximum=decimal_text(period.maximum_cents),
            decision=period.decision,
            decided_on=period.decided_on,
        )


class LotBody(Body):
    """A lot. Without departments it takes all of them, without load kinds all loads; the first that fits counts."""

    number: Number
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    cpv: Cpv
    maximum: Amount
    departments: Annotated[tuple[PartyId, ...], Field(max_length=200)] = ()
    load_kinds: Annotated[tuple[LoadKind, ...], Field(max_length=200)] = ()

    def to_domain(self) -> Lot:
        """Return the lot in cents."""
        return Lot(self.number, self.title, self.cpv, cents(self.maximum), self.departments, self.load_kinds)

    @classmethod
    def of(cls, lot: Lot) -> Self:
        """Show a lot."""
        return cls(
            number=lot.number,
            title=lot.title,
            cpv=lot.cpv,
            maximum=decimal_text(lot.maximum_cents),
            departments=lot.departments,
            load_kinds=lot.load_kinds,
        )


class BudgetBody(Body):
    """The most a department, a year of service dates, or a department in a year may commit."""

    maximum: Amount
    department_id: PartyId | None = None
    year: Annotated[int, Field(ge=2000, le=2199, strict=True)] | None = None

    def to_domain(self) -> Budget:
        """Return the budget in cents."""
        return Budget(cents(self.maximum), self.department_id or "", self.year)

    @classmethod
    def of(cls, budget: Budget) -> Self:
        """Show a budget."""
        return cls(
            maximum=decimal_text(budget.maximum_cents), department_id=budget.department_id or None, year=budget.year
        )


class PolicyBody(Body):
    """What does not pass by itself is refused, or waits for a named person. The margin is held for extras."""

    beyond: Beyond = Beyond.REFUSE
    reserve_percent: WholePercent = 0
    order_limit: Amount | None = None
    margin_percent: WholePercent = 0

    def to_domain(self) -> HoldPolicy:
        """Return the policy in cents."""
        limit_cents = cents(self.order_limit) if self.order_limit is not None else None
        return HoldPolicy(self.beyond, self.reserve_percent, limit_cents, self.margin_percent)

    @classmethod
    def of(cls, policy: HoldPolicy) -> Self:
        """Show a policy."""
        return cls(
            beyond=policy.beyond,
            reserve_percent=policy.reserve_percent,
            order_limit=decimal_text(policy.order_limit_cents) if policy.order_limit_cents is not None else None,
            margin_percent=policy.margin_percent,
        )


class ShareBody(Body):
    """A group member's share in per cent."""

    cooperative_id: PartyId
    percent: Share


class SubcontractorBody(Body):
    """A subcontractor that the buyer accepted, and for how much."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=99)]
    siret: Annotated[str, StringConstraints(pattern=r"^[0-9]{14}$")]
    accepted_on: date
    amount: Amount
    months: Number
    price_variation: Literal["Ferme", "Actualisable", "Révisable"] = "Ferme"
    published_on: date | None = None


class AwardBody(Body):
    """How the contract came about, in the words of the official essential data."""

    kind: AwardKind
    reason: Words = ""
    cpv: Cpv
    nature: Literal["Marché", "Marché de partenariat", "Marché de défense ou de sécurité"] = "Marché"
    techniques: Annotated[
        tuple[
            Literal[
                "Accord-cadre",
                "Concours",
                "Système de qualification",
                "Système d'acquisition dynamique",
                "Catalogue électronique",
                "Enchère électronique",
                "Sans objet",
            ],
            ...,
        ],
        Field(min_length=1),
    ] = ("Accord-cadre",)
    modalities: Annotated[
        tuple[Literal["Tranches", "Bons de commande", "Marchés subséquents", "Sans objet"], ...], Field(min_length=1)
    ] = ("Bons de commande",)
    procedure: Literal[
        "Procédure adaptée",
        "Appel d'offres ouvert",
        "Appel d'offres restreint",
        "Procédure avec négociation",
        "Marché passé sans publicité ni mise en concurrence préalable",
        "Dialogue compétitif",
    ]
    ccag: Literal[
        "Travaux",
        "Maitrise d'œuvre",
        "Fournitures courantes et services",
        "Marchés industriels",
        "Prestations intellectuelles",
        "Techniques de l'information et de la communication",
        "Pas de CCAG",
    ] = "Fournitures courantes et services"
    offers_received: Number
    advance_percent: Annotated[str, StringConstraints(pattern=r"^\d{1,2}(\.\d)?$")] | None = None
    group: Group = Group.NONE
    shares: Annotated[tuple[ShareBody, ...], Field(max_length=50)] = ()
    place_code: Annotated[str, StringConstraints(min_length=1, max_length=10)]
    place_code_type: Literal[
        "Code postal",
        "Code commune",
        "Code arrondissement",
        "Code canton",
        "Code département",
        "Code région",
        "Code pays",
    ] = "Code commune"
    price_types: Annotated[
        tuple[Literal["Définitif ferme", "Définitif actualisable", "Définitif révisable", "Provisoire"], ...],
        Field(min_length=1),
    ] = ("Définitif ferme",)
    price_form: Literal["Unitaire", "Forfaitaire", "Mixte"] = "Unitaire"
    social: Annotated[
        tuple[Literal["Clause sociale", "Critère social", "Marché réservé", "Pas de considération sociale"], ...],
        Field(min_length=1),
    ] = ("Pas de considération sociale",)
    environmental: Annotated[
        tuple[
            Literal["Clause environnementale", "Critère environnemental", "Pas de considération environnementale"], ...
        ],
        Field(min_length=1),
    ] = ("Pas de considération environnementale",)
    notified_on: date
    published_on: date | None = None
    subcontractors: Annotated[tuple[SubcontractorBody, ...], Field(max_length=50)] = ()

    def to_domain(self) -> Award:
        """Return the award in cents and whole shares."""
        told = self.model_dump(exclude={"advance_percent", "shares", "subcontractors"})
        return Award(
            **told,
            advance_permille=cents(self.advance_percent) // 10 if self.advance_percent is not None else None,
            shares=tuple(awarding.Share(share.cooperative_id, cents(share.percent)) for share in self.shares),
            subcontractors=tuple(
                awarding.Subcontractor(
                    one.name,
                    one.siret,
                    one.accepted_on,
                    cents(one.amount),
                    one.months,
                    one.price_variation,
                    one.published_on,
                )
                for one in self.subcontractors
            ),
        )

    @classmethod
    def of(cls, award: Award) -> Self:
        """Show an award."""
        names = set(cls.model_fields) - {"advance_percent", "shares", "subcontractors"}
        told = {name: getattr(award, name) for name in names}
        return cls.model_validate(
            {
                **told,
                "advance_percent": None
                if award.advance_permille is None
                else f"{award.advance_permille // 10}.{award.advance_permille % 10}",
                "shares": [
                    {"cooperative_id": share.cooperative_id, "percent": decimal_text(share.permyriad)}
                    for share in award.shares
                ],
                "subcontractors": [
                    {
                        "name": one.name,
                        "siret": one.siret,
                        "accepted_on": one.accepted_on,
                        "amount": decimal_text(one.amount_cents),
                        "months": one.months,
                        "price_variation": one.price_variation,
                        "published_on": one.published_on,
                    }
                    for one in award.subcontractors
                ],
            }
        )


class AmendmentBody(Body):
    """An amendment as signed. Without a period it changes that of its signature; without a lot, the only one.

    `legal_decision` is demanded when a legal threshold is touched, and only recorded.
    """

    number: Number
    ground: Annotated[str, StringConstraints(pattern=r"^R2194-[1-9]$"), Field(examples=["R2194-8"])]
    signed_on: date
    notified_on: date
    delta: SignedAmount = "0.00"
    new_maximum: Amount
    period: Number | None = None
    lot: Number | None = None
    ends_on: date | None = None
    reason: Words = ""
    legal_decision: Words = ""
    document_sha256: Sha256 = ""
    published_on: date | None = None

    def to_domain(self, recorded_by: str) -> Amendment:
        """Return the amendment in cents."""
        sign = -1 if self.delta.startswith("-") else 1
        return Amendment(
            number=self.number,
            ground=self.ground,
            signed_on=self.signed_on,
            notified_on=self.notified_on,
            delta_cents=sign * cents(self.delta.removeprefix("-")),
            new_maximum_cents=cents(self.new_maximum),
            period=self.period or 0,
            lot=self.lot or 0,
            ends_on=self.ends_on,
            reason=self.reason,
            legal_decision=self.legal_decision,
            document_sha256=self.document_sha256,
            published_on=self.published_on,
            recorded_by=recorded_by,
        )


class AmendmentOut(AmendmentBody):
    """An amendment in force; `cumulated_percent` is what those on its ground add to the initial amount by then."""

    cumulated_percent: str
    recorded_by: str

    @classmethod
    def show(cls, amendment: Amendment, cumulated_percent: str) -> Self:
        """Show an amendment."""
        return cls(
            number=amendment.number,
            ground=amendment.ground,
            signed_on=amendment.signed_on,
            notified_on=amendment.notified_on,
            delta=decimal_text(amendment.delta_cents),
            new_maximum=decimal_text(amendment.new_maximum_cents),
            period=amendment.period or None,
            lot=amendment.lot or None,
            ends_on=amendment.ends_on,
            reason=amendment.reason,
            legal_decision=amendment.legal_decision,
            document_sha256=amendment.document_sha256,
            published_on=amendment.published_on,
            cumulated_percent=cumulated_percent,
            recorded_by=amendment.recorded_by,
        )


class StructureBody(Body):
    """The parts of a contract; none of them means one firm period and one lot."""

    periods: Annotated[tuple[PeriodBody, ...], Field(max_length=20)] = ()
    lots: Annotated[tuple[LotBody, ...], Field(max_length=50)] = ()
    budgets: Annotated[tuple[BudgetBody, ...], Field(max_length=500)] = ()

    def structure(self) -> Structure:
        """Return the parts in cents."""
        return Structure(
            tuple(period.to_domain() for period in self.periods),
            tuple(lot.to_domain() for lot in self.lots),
            tuple(budget.to_domain() for budget in self.budgets),
        )


def shown(contract: Contract) -> dict[str, object]:
    """Return the parts, the policy and the award of a contract for its answer."""
    return {
        "periods": [PeriodBody.of(period) for period in contract.structure.periods],
        "lots": [LotBody.of(lot) for lot in contract.structure.lots],
        "budgets": [BudgetBody.of(budget) for budget in contract.structure.budgets],
        "policy": PolicyBody.of(contract.policy),
        "award": AwardBody.of(contract.award) if contract.award else None,
    }
