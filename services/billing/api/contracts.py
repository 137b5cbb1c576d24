"""Contracts, their price lists, their gauge, and the closing of their months."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from services.billing import queries, use_cases
from services.billing.api.parties import (
    BuyerDataBody,
    BuyerInvoicingBody,
    CooperativeDataBody,
    CooperativeInvoicingBody,
    buyer_invoicing,
    cooperative_invoicing,
)
from services.billing.api.parts import (
    AmendmentOut,
    AwardBody,
    BudgetBody,
    LotBody,
    PeriodBody,
    PolicyBody,
    StructureBody,
    shown,
)
from services.billing.api.penalties import AdvanceBody, PenaltyTermsBody
from services.billing.api.revision import RevisionBody
from services.billing.api.shapes import (
    Amount,
    MonthText,
    PartyId,
    RatePercent,
    UnitPrice,
    WholePercent,
    fresh,
    percent_text,
    permille,
)
from services.billing.documents.validation import warm_up
from services.billing.domain import legal
from services.billing.domain.amendment import award_warnings, cumulated
from services.billing.domain.amendment import percent_text as percent_of_initial
from services.billing.domain.contract import (
    DEFAULT_ALERT_PERCENTS,
    Buyer,
    BuyerKind,
    ChargeRules,
    Contract,
    Cooperative,
    Department,
    LoadMass,
    VatRate,
)
from services.billing.domain.emissions import Baseline
from services.billing.domain.money import cents, decimal_text
from services.billing.domain.price_list import PriceLine, PriceList, Unit
from services.billing.domain.statement import Month, Statement
from services.billing.queries import Sight
from services.billing.queries.scopes import ScopeUse, list_scopes
from services.billing.use_cases import parties
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    page_answer,
)
from services.kit.http.edge import Body, Caller, Now, Once, ReadView, Tx, needs
from services.kit.ids import new_id

router = APIRouter(tags=["contracts"])

Name = Annotated[str, StringConstraints(min_length=1, max_length=99)]
Siret = Annotated[str, StringConstraints(pattern=r"^[0-9]{14}$"), Field(examples=["90000010000017"])]


class BuyerBody(BuyerInvoicingBody):
    """The city. `service_code` and `engagement_number` stand on each statement when its accountant demands them."""

    name: Name
    siret: Siret
    service_code: Annotated[str, StringConstraints(max_length=100)] = ""
    engagement_number: Annotated[str, StringConstraints(max_length=50)] = ""
    kind: BuyerKind = BuyerKind.LOCAL_AUTHORITY

    def to_domain(self) -> Buyer:
        """Return the buyer, unchecked."""
        return Buyer(self.name, self.siret, self.service_code, self.engagement_number, **self.invoicing())


class CooperativeBody(CooperativeInvoicingBody):
    """A holder; the first one leads."""

    id: PartyId
    name: Name
    siret: Siret
    address: Annotated[str, StringConstraints(min_length=1, max_length=300)]

    def to_domain(self) -> Cooperative:
        """Return the cooperative, unchecked."""
        return Cooperative(self.id, self.name, self.siret, self.address, **self.invoicing())


class DepartmentBody(Body):
    """A city department that may order."""

    id: PartyId
    name: Name


class VatRateBody(Body):
    """A rate in force from a day on, and where it is written."""

    valid_from: date
    percent: RatePercent
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PriceLineBody(Body):
    """A unit price excluding tax: per order, leg, stop or load of a kind, or a supplement.

    `at_least` and `below` are the band of a price by distance (metres as the crow flies), by hours (minutes after local
    midnight) or for urgency (minutes between the order and its pickup window).
    """

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{0,29}$"), Field(examples=["COURSE"])]
    label: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    unit: Unit
    unit_price: UnitPrice
    load_kind: Annotated[str, StringConstraints(max_length=64)] | None = None
    at_least: Annotated[int, Field(ge=0, strict=True)] = 0
    below: Annotated[int, Field(ge=0, strict=True)] = 0

    def to_domain(self) -> PriceLine:
        """Return the line in cents."""
        price_cents = cents(self.unit_price)
        return PriceLine(self.code, self.label, self.unit, price_cents, self.load_kind or "", self.at_least, self.below)


class LoadMassBody(Body):
    """What a load of a kind is taken to weigh, per unit, where dispatch does not know."""

    load_kind: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    grams: Annotated[int, Field(ge=1, le=500_000, strict=True)]


class PriceListBody(Body):
    """Unit prices in force from a day on. Every load kind that is carried needs a line, "0.00" where it is included."""

    valid_from: date
    lines: Annotated[list[PriceLineBody], Field(min_length=1, max_length=200)]


class ContractBody(StructureBody):
    """A contract; `price_list` may be its first one. Percentages are of a leg's estimate.

    `co2_baseline` is what its bikes are compared with: B a van on its round, A a van for each delivery alone, which is
    true only where the contract replaced such trips. `ceiling` is the maximum of its whole life, all periods
    and lots together.
    """

    reference: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    buyer: BuyerBody
    cooperatives: Annotated[list[CooperativeBody], Field(min_length=1, max_length=50)]
    departments: Annotated[list[DepartmentBody], Field(min_length=1, max_length=200)]
    starts_on: date
    ends_on: date
    ceiling: Amount
    zone: Annotated[str, StringConstraints(max_length=64)] = "Europe/Paris"
    cutoff_minutes: Annotated[int, Field(ge=0, le=60 * 24 * 31, strict=True)]
    billable_failure_percent: WholePercent
    late_cancellation_percent: WholePercent
    vat_rates: Annotated[list[VatRateBody], Field(min_length=1, max_length=20)]
    alert_percents: Annotated[
        list[Annotated[int, Field(strict=True)]],
        Field(max_length=20, default_factory=lambda: list(DEFAULT_ALERT_PERCENTS)),
    ]
    price_list: PriceListBody | None = None
    co2_baseline: Baseline = Baseline.SHARED_VAN
    load_masses: Annotated[list[LoadMassBody], Field(max_length=200, default_factory=list)]
    verification_days: Annotated[
        int, Field(ge=0, le=365, strict=True, description="Jours après lesquels le silence vaut acceptation")
    ] = 0
    policy: Annotated[PolicyBody, Field(default_factory=PolicyBody)]
    award: AwardBody | None = None
    penalties: PenaltyTermsBody | None = None
    advance: AdvanceBody | None = None
    revision: RevisionBody | None = None

    def to_domain(self, contract_id: str, *, at: datetime) -> Contract:
        """Return the contract, unchecked."""
        return Contract(
            id=contract_id,
            reference=self.reference,
            title=self.title,
            buyer=self.buyer.to_domain(),
            cooperatives=tuple(party.to_domain() for party in self.cooperatives),
            departments=tuple(Department(**party.model_dump()) for party in self.departments),
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            ceiling_cents=cents(self.ceiling),
            zone=self.zone,
            cutoff_minutes=self.cutoff_minutes,
            rules=ChargeRules(self.billable_failure_percent, self.late_cancellation_percent),
            vat_rates=tuple(VatRate(rate.valid_from, permille(rate.percent), rate.source) for rate in self.vat_rates),
            alert_percents=tuple(self.alert_percents),
            registered_at=at,
            co2_baseline=self.co2_baseline,
            load_masses=tuple(LoadMass(mass.load_kind, mass.grams) for mass in self.load_masses),
            verification_days=self.verification_days,
            structure=self.structure(),
            policy=self.policy.to_domain(),
            award=self.award.to_domain() if self.award else None,
            penalties=self.penalties.to_domain() if self.penalties else None,
            advance=self.advance.to_domain() if self.advance else None,
            revision=self.revision.to_domain(self.starts_on) if self.revision else None,
        )


class ContractOut(BaseModel):
    """A contract as it stands, amendments included; `warnings` tell which legal threshold its maximum has reached."""

    id: str
    reference: str
    title: str
    buyer: BuyerBody
    cooperatives: list[CooperativeBody]
    departments: list[DepartmentBody]
    starts_on: date
    ends_on: date
    ceiling: str
    zone: str
    cutoff_minutes: int
    billable_failure_percent: int
    late_cancellation_percent: int
    vat_rates: list[VatRateBody]
    alert_percents: list[int]
    registered_at: datetime
    co2_baseline: Baseline
    load_masses: list[LoadMassBody]
    verification_days: int
    periods: list[PeriodBody]
    lots: list[LotBody]
    budgets: list[BudgetBody]
    policy: PolicyBody
    award: AwardBody | None
    initial_ceiling: str
    open_until: date
    amendments: list[AmendmentOut]
    warnings: list[str]
    penalties: PenaltyTermsBody | None
    advance: AdvanceBody | None
    revision: RevisionBody | None

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Show a contract."""
        initial_cents, amendments = contract.initial_ceiling_cents, contract.amendments
        return cls(
            id=contract.id,
            reference=contract.reference,
            title=contract.title,
            buyer=BuyerBody(
                name=contract.buyer.name,
                siret=contract.buyer.siret,
                service_code=contract.buyer.service_code,
                engagement_number=contract.buyer.engagement_number,
                **buyer_invoicing(contract.buyer),
                kind=contract.buyer.kind,
            ),
            cooperatives=[
                CooperativeBody(
                    id=party.id,
                    name=party.name,
                    siret=party.siret,
                    address=party.address,
                    **cooperative_invoicing(party),
                )
                for party in contract.cooperatives
            ],
            departments=[DepartmentBody(id=party.id, name=party.name) for party in contract.departments],
            starts_on=contract.starts_on,
            ends_on=contract.ends_on,
            ceiling=decimal_text(contract.ceiling_cents),
            zone=contract.zone,
            cutoff_minutes=contract.cutoff_minutes,
            billable_failure_percent=contract.rules.failure_percent,
            late_cancellation_percent=contract.rules.late_cancellation_percent,
            vat_rates=[
                VatRateBody(valid_from=rate.valid_from, percent=percent_text(rate.permille), source=rate.source)
                for rate in contract.vat_rates
            ],
            alert_percents=list(contract.alert_percents),
            registered_at=contract.registered_at,
            co2_baseline=contract.co2_baseline,
            load_masses=[LoadMassBody(load_kind=mass.load_kind, grams=mass.grams) for mass in contract.load_masses],
            verification_days=contract.verification_days,
            initial_ceiling=decimal_text(initial_cents),
            open_until=contract.open_until,
            amendments=[
                AmendmentOut.show(
                    one, percent_of_initial(cumulated(amendments[: index + 1], one.ground, initial_cents))
                )
                for index, one in enumerate(amendments)
            ],
            warnings=award_warnings(
                contract.award, initial_cents, contract.award.notified_on, legal.rows_of("contracts")
            )
            if contract.award
            else [],
            **shown(contract),
            penalties=PenaltyTermsBody.of(contract.penalties) if contract.penalties else None,
            advance=AdvanceBody.of(contract.advance) if contract.advance else None,
            revision=RevisionBody.of(contract.revision) if contract.revision else None,
        )


class PriceListOut(BaseModel):
    """A version of a contract's price list."""

    id: str
    version: int
    valid_from: date
    lines: list[PriceLineBody]
    published_at: datetime

    @classmethod
    def of(cls, price_list: PriceList) -> Self:
        """Show a price list."""
        return cls(
            id=price_list.id,
            version=price_list.version,
            valid_from=price_list.valid_from,
            lines=[
                PriceLineBody(
                    code=line.code,
                    label=line.label,
                    unit=line.unit,
                    unit_price=decimal_text(line.unit_price_cents),
                    load_kind=line.load_kind or None,
                    at_least=line.at_least,
                    below=line.below,
                )
                for line in price_list.lines
            ],
            published_at=price_list.published_at,
        )


class PriceListsOut(BaseModel):
    """All versions, oldest first."""

    items: list[PriceListOut]


class UseOut(BaseModel):
    """Amounts excluding tax, by where they stand; committed is their sum."""

    held: str
    owed: str
    invoiced: str
    committed: str


class DepartmentUseOut(UseOut):
    """One department's share."""

    id: str
    name: str


class ScopeUseOut(UseOut):
    """One part of the contract: a period, a lot or a budget, under its own maximum."""

    key: str
    name: str
    maximum: str
    left: str
    committed_percent: str
    reached_alert_percent: int
    is_balanced: bool

    @classmethod
    def of(cls, use: ScopeUse) -> Self:
        """Show a part's use."""
        scope = use.scope
        return cls(
            key=scope.key,
            name=scope.name,
            maximum=decimal_text(scope.ceiling_cents),
            held=decimal_text(scope.held_cents),
            owed=decimal_text(scope.owed_cents),
            invoiced=decimal_text(scope.invoiced_cents),
            committed=decimal_text(scope.committed_cents),
            left=decimal_text(scope.left_cents),
            committed_percent=decimal_text(scope.committed_cents * 10_000 // scope.ceiling_cents),
            reached_alert_percent=scope.reached_percent,
            is_balanced=use.is_balanced,
        )


class ConsumptionOut(UseOut):
    """What stands under a contract's ceiling. `is_balanced`: ledger, charges and this gauge agree to the cent."""

    contract_id: str
    ceiling: str
    left: str
    committed_percent: str
    reached_alert_percent: int
    departments: list[DepartmentUseOut]
    scopes: list[ScopeUseOut]
    accounts: dict[str, str]
    is_balanced: bool

    @classmethod
    def of(cls, use: queries.Consumption, scopes: Sequence[ScopeUse]) -> Self:
        """Show a consumption."""
        ceiling = use.ceiling
        return cls(
            contract_id=use.contract.id,
            ceiling=decimal_text(ceiling.ceiling_cents),
            held=decimal_text(ceiling.held_cents),
            owed=decimal_text(ceiling.owed_cents),
            invoiced=decimal_text(ceiling.invoiced_cents),
            committed=decimal_text(ceiling.committed_cents),
            left=decimal_text(ceiling.left_cents),
            # Rounded down: 100.00 is shown only when nothing is left.
            committed_percent=decimal_text(ceiling.committed_cents * 10_000 // ceiling.ceiling_cents),
            reached_alert_percent=ceiling.reached_percent,
            departments=[
                DepartmentUseOut(
                    id=part.department_id,
                    name=part.name,
                    held=decimal_text(part.held_cents),
                    owed=decimal_text(part.owed_cents),
                    invoiced=decimal_text(part.invoiced_cents),
                    committed=decimal_text(part.committed_cents),
                )
                for part in use.departments
            ],
            scopes=[ScopeUseOut.of(scope) for scope in scopes],
            accounts={account.value: decimal_text(amount) for account, amount in use.accounts.items()},
            is_balanced=use.is_balanced,
        )


class ClosingBody(Body):
    """Which month to close."""

    month: MonthText


class ClosedStatementOut(BaseModel):
    """One seller's statement of a closed month; totals as decimal text."""

    id: str
    number: str
    cooperative_id: str
    legs: int
    net: str
    tax: str
    gross: str

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """Show a statement's head."""
        return cls(
            id=statement.id,
            number=statement.number,
            cooperative_id=statement.seller.id,
            legs=statement.legs,
            net=decimal_text(statement.net_cents),
            tax=decimal_text(statement.tax_cents),
            gross=decimal_text(statement.gross_cents),
        )


class ClosingOut(BaseModel):
    """A closed month: one statement per cooperative that had something to invoice."""

    contract_id: str
    month: str
    statements: list[ClosedStatementOut]


@router.post("/v1/contracts", status_code=201, response_model=ContractOut)
def register(
    body: ContractBody, _: Annotated[Caller, needs("billing:admin")], tx: Tx, now: Now, once: Once
) -> Response:
    """Register a contract, with its first price list when one is given."""
    if (answer := once.replay()) is not None:
        return answer
    contract = use_cases.register_contract(tx, body.to_domain(new_id(), at=now))
    if body.price_list is not None:
        _publish(tx, contract.id, body.price_list, now)
    return once.keep(201, {"Location": f"/v1/contracts/{contract.id}"}, ContractOut.of(contract))


@router.get("/v1/contracts", response_model=Page[ContractOut])
def list_contracts(
    request: Request,
    response: Response,
    caller: Annotated[Caller, needs("billing:read")],
    view: ReadView,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ContractOut]:
    """List the contracts the caller may see, oldest first."""
    after = decode_cursor(cursor, str)[0] if cursor else None
    found = queries.list_contracts(view, Sight.of(caller), after=after, limit=limit + 1)
    next_cursor = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return page_answer(request, response, [ContractOut.of(contract) for contract in found[:limit]], next_cursor)


@router.get("/v1/contracts/{contract_id}", response_model=ContractOut)
def read_contract(
    request: Request, contract_id: str, caller: Annotated[Caller, needs("billing:read")], view: ReadView
) -> Response:
    """Read a contract."""
    return fresh(request, ContractOut.of(queries.get_contract(view, Sight.of(caller), contract_id)))


class PartiesBody(Body):
    """What e-invoices need of a contract's parties; a party that is not given stays as it is."""

    buyer: BuyerDataBody | None = None
    cooperatives: Annotated[list[CooperativeDataBody], Field(max_length=50, default_factory=list)]


@router.put("/v1/contracts/{contract_id}/parties", response_model=ContractOut)
def complete_parties(
    contract_id: str, body: PartiesBody, _: Annotated[Caller, needs("billing:admin")], tx: Tx
) -> ContractOut:
    """Complete what e-invoices need of the parties; who they are stays as registered, closed months stay closed."""
    completed = parties.complete_parties(
        tx,
        contract_id,
        buyer=body.buyer.to_domain() if body.buyer else None,
        cooperatives=tuple(one.to_domain() for one in body.cooperatives),
    )
    return ContractOut.of(completed)


@router.get("/v1/contracts/{contract_id}/consumption", response_model=ConsumptionOut)
def read_consumption(
    request: Request, contract_id: str, caller: Annotated[Caller, needs("billing:read")], view: ReadView
) -> Response:
    """Read what stands under a contract's ceiling: in all, by department, and in each of its parts."""
    use = queries.get_consumption(view, Sight.of(caller), contract_id)
    return fresh(request, ConsumptionOut.of(use, list_scopes(view, use.contract)))


@router.post("/v1/contracts/{contract_id}/price-lists", status_code=201, response_model=PriceListOut)
def publish_price_list(
    contract_id: str,
    body: PriceListBody,
    _: Annotated[Caller, needs("billing:admin")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Publish a price list; legs already held for its days are held at its prices from now on."""
    if (answer := once.replay()) is not None:
        return answer
    price_list = _publish(tx, contract_id, body, now)
    return once.keep(201, {"Location": f"/v1/contracts/{contract_id}/price-lists"}, PriceListOut.of(price_list))


def _publish(tx: Tx, contract_id: str, body: PriceListBody, now: datetime) -> PriceList:
    lines = [line.to_domain() for line in body.lines]
    return use_cases.publish_price_list(tx, contract_id, valid_from=body.valid_from, lines=lines, at=now)


@router.get("/v1/contracts/{contract_id}/price-lists", response_model=PriceListsOut)
def list_price_lists(
    request: Request, contract_id: str, caller: Annotated[Caller, needs("billing:read")], view: ReadView
) -> Response:
    """List all versions of a contract's price list."""
    found = queries.list_price_lists(view, Sight.of(caller), contract_id)
    return fresh(request, PriceListsOut(items=[PriceListOut.of(price_list) for price_list in found]))


@router.post(
    "/v1/contracts/{contract_id}/closings",
    status_code=201,
    response_model=ClosingOut,
    responses={200: {"model": ClosingOut, "description": "The month was closed before; nothing changed."}},
)
def close_month(
    contract_id: str,
    body: ClosingBody,
    caller: Annotated[Caller, needs("billing:write")],
    _: Annotated[None, Depends(warm_up)],  # before the transaction is open
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Close a month for good: 201 the first time, 200 with the same statements ever after."""
    if (kept := once.replay()) is not None:
        return kept
    queries.get_contract(tx, Sight.of(caller), contract_id)
    closing = use_cases.close_month(tx, contract_id, Month.parse(body.month), at=now)
    answer = ClosingOut(
        contract_id=contract_id,
        month=str(closing.month),
        statements=[ClosedStatementOut.of(statement) for statement in closing.statements],
    )
    return Response(answer.model_dump_json(), status_code=201 if closing.is_new else 200, media_type="application/json")
