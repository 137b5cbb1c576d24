"""Deliveries over HTTP, who may ride them and whose share they are: a cooperative sees those of its contracts."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.dispatch.api.crew import Admin, Code, Reader, Skills, Writer, day_of_cursor
from services.dispatch.api.shapes import DeliveryOut, Id
from services.dispatch.domain.courier import Share
from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import ContractNotFound, DeliveryNotFound
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.planning_settings import Priority
from services.dispatch.domain.reach import Reach
from services.dispatch.queries.crew import cooperative_names
from services.dispatch.queries.deliveries import DeliveryFilter, get_delivery, list_deliveries
from services.dispatch.repository import crew, instructions
from services.dispatch.use_cases import instructions as use_cases
from services.dispatch.use_cases.access import reach_of
from services.kit.database import View
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    page_answer,
)
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Now, ReadView, Tx

router = APIRouter(tags=["deliveries"])


@router.get("/v1/deliveries")
def read_all(
    caller: Reader,
    view: ReadView,
    request: Request,
    response: Response,
    on: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY, description="Un seul jour.")] = None,
    date_from: date | None = None,
    date_to: date | None = None,
    state: Annotated[list[DeliveryState] | None, Query(description="Peut être répété.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[DeliveryOut]:
    """List deliveries by service date."""
    after = None
    if cursor:
        day, order_id, leg = decode_cursor(cursor, str, str, int)
        after = (day_of_cursor(day), order_id, leg)
    reach = reach_of(caller)
    wanted = DeliveryFilter(reach, on or date_from, on or date_to, state or ())
    found = list_deliveries(view, wanted, after=after, limit=limit + 1)
    names = cooperative_names(view)
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = encode_cursor(last.service_date.isoformat(), last.id.order_id, last.id.leg)
    given = instructions.of_deliveries(view, [delivery.id for delivery in found[:limit]])
    shown = [DeliveryOut.of(delivery, reach, names, given.get(delivery.id)) for delivery in found[:limit]]
    return page_answer(request, response, shown, following)


@router.get("/v1/deliveries/{delivery_id}")
def read(delivery_id: str, caller: Reader, view: ReadView) -> DeliveryOut:
    """Return a delivery."""
    reach = reach_of(caller)
    return _shown(view, _delivery(view, delivery_id, reach), reach)


class InstructionBody(Body):
    """Who may ride a delivery: with all of these skills, one of these couriers if any is named, none of those; and what
    it is worth when not all can be ridden.
    """

    skills: Skills = ()
    courier_ids: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    forbidden_courier_ids: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    reason: Annotated[str, Field(min_length=1, max_length=300)]
    priority: Priority = Priority.ORDINARY


@router.put("/v1/deliveries/{delivery_id}/instruction")
def instruct(delivery_id: str, body: InstructionBody, caller: Writer, tx: Tx, now: Now) -> DeliveryOut:
    """Say who may ride a delivery that is in no published round; drafts with it become stale."""
    reach = reach_of(caller)
    delivery = _delivery(tx, delivery_id, reach)
    wanted = Instruction(
        delivery.id,
        tuple(body.skills),
        tuple(body.courier_ids),
        tuple(body.forbidden_courier_ids),
        body.reason,
        caller.name,
        now,
        body.priority,
    )
    use_cases.instruct(tx, delivery, wanted, reach)
    return _shown(tx, delivery, reach)


@router.delete("/v1/deliveries/{delivery_id}/instruction")
def withdraw_instruction(delivery_id: str, caller: Writer, tx: Tx) -> DeliveryOut:
    """Let a delivery be ridden as its order says. Doing it twice is harmless."""
    reach = reach_of(caller)
    delivery = _delivery(tx, delivery_id, reach)
    use_cases.withdraw_instruction(tx, delivery)
    return _shown(tx, delivery, reach)


class ShareBody(Body):
    """A holder's share of a contract's deliveries of a day, in thousandths."""

    cooperative_id: Code
    at_least_permille: Annotated[int, Field(ge=0, le=1000)] = 0
    at_most_permille: Annotated[int, Field(ge=0, le=1000)] = 1000


class SharesBody(Body):
    """A contract's shares; a holder that is not named rides as much as it likes."""

    shares: Annotated[list[ShareBody], Field(max_length=50)]


class ShareOut(BaseModel):
    """A holder's share of a contract's deliveries of a day, in thousandths."""

    cooperative_id: str
    at_least_permille: int
    at_most_permille: int


class SharesOut(BaseModel):
    """A contract's shares: `at_most` is never passed, `at_least` is a wish that may lengthen rounds."""

    contract_id: str
    shares: list[ShareOut]

    @classmethod
    def of(cls, contract_id: str, shares: Sequence[Share]) -> Self:
        """Show a contract's shares."""
        return cls(
            contract_id=contract_id,
            shares=[
                ShareOut(
                    cooperative_id=share.cooperative_id,
                    at_least_permille=share.at_least_permille,
                    at_most_permille=share.at_most_permille,
                )
                for share in shares
            ],
        )


@router.get("/v1/shares/{contract_id}")
def read_shares(contract_id: str, caller: Reader, view: ReadView) -> SharesOut:
    """Return how much of a contract its holders ride; for the administration and for the holders themselves."""
    reach = reach_of(caller)
    holders = crew.holders(view, [contract_id]).get(contract_id, frozenset())
    if not any(reach.covers(holder) for holder in holders):
        raise ContractNotFound(contract_id)
    return SharesOut.of(contract_id, crew.shares(view, [contract_id]).get(contract_id, ()))


@router.put("/v1/shares/{contract_id}")
def agree_shares(contract_id: str, body: SharesBody, _caller: Admin, tx: Tx) -> SharesOut:
    """Keep how much of a contract its holders ride: the next plans follow it."""
    shares = [Share(one.cooperative_id, one.at_least_permille, one.at_most_permille) for one in body.shares]
    return SharesOut.of(contract_id, use_cases.agree_shares(tx, contract_id, shares))


def _delivery(view: View, delivery_id: str, reach: Reach) -> Delivery:
    try:
        wanted = DeliveryId.parse(delivery_id)
    except ValueError:
        raise DeliveryNotFound(delivery_id) from None
    return get_delivery(view, wanted, reach)


def _shown(view: View, delivery: Delivery, reach: Reach) -> DeliveryOut:
    given = instructions.of_deliveries(view, [delivery.id])
    return DeliveryOut.of(delivery, reach, cooperative_names(view), given.get(delivery.id))
