"""What changes a contract after its registration, and its public record."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel

from services.billing import queries
from services.billing.api.contracts import ContractOut
from services.billing.api.parts import AmendmentBody
from services.billing.domain import decp, legal
from services.billing.queries import Sight
from services.billing.use_cases import contracts as changing
from services.kit.http.answers import etag_of, not_modified
from services.kit.http.edge import Body, Caller, Now, Once, ReadView, Tx, needs

router = APIRouter(tags=["contracts"])


class AmendedOut(BaseModel):
    """The contract as it stands, and the legal thresholds that the amendment touches, as French sentences."""

    contract: ContractOut
    warnings: list[str]


class DecisionBody(Body):
    """Renew a period or decline it, on a day before it begins."""

    decision: Literal["renewed", "declined"]
    decided_on: date


@router.post("/v1/contracts/{contract_id}/amendments", status_code=201, response_model=AmendedOut)
def amend(
    contract_id: str,
    body: AmendmentBody,
    caller: Annotated[Caller, needs("billing:admin")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Put an amendment in force. A legal threshold warns; it asks for a recorded decision and blocks nothing else."""
    if (answer := once.replay()) is not None:
        return answer
    queries.get_contract(tx, Sight.of(caller), contract_id)
    contract, warnings = changing.amend_contract(
        tx, contract_id, body.to_domain(caller.name), rows=legal.rows_of("contracts"), at=now
    )
    answered = AmendedOut(contract=ContractOut.of(contract), warnings=warnings)
    return once.keep(201, {"Location": f"/v1/contracts/{contract_id}"}, answered)


@router.post("/v1/contracts/{contract_id}/periods/{number}/decision", response_model=ContractOut)
def decide(
    contract_id: str,
    number: Annotated[int, Path(ge=1, le=999)],
    body: DecisionBody,
    caller: Annotated[Caller, needs("billing:admin")],
    tx: Tx,
    now: Now,
) -> ContractOut:
    """Renew a period, or decline it and all that follow. The same decision again is harmless."""
    queries.get_contract(tx, Sight.of(caller), contract_id)
    contract = changing.decide_period(
        tx, contract_id, number, is_renewed=body.decision == "renewed", decided_on=body.decided_on, at=now
    )
    return ContractOut.of(contract)


@router.get("/v1/contracts/{contract_id}/decp.json")
def read_decp(
    request: Request, contract_id: str, caller: Annotated[Caller, needs("billing:read")], view: ReadView, now: Now
) -> Response:
    """Read the essential data of a contract as the French State wants them published, amendments included."""
    contract = queries.get_contract(view, Sight.of(caller), contract_id)
    content = decp.text(contract, today=contract.local_date(now)).encode()
    etag = etag_of(content)
    return not_modified(request, etag) or Response(content, media_type="application/json", headers={"ETag": etag})
