"""What a dispatcher says of deliveries and contracts beyond what orders and billing told."""

from collections.abc import Sequence
from dataclasses import replace

from services.dispatch.domain.courier import Share, as_skills, check_shares
from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import ContractNotFound, CooperativeNotFound, DeliveryTaken
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.reach import Reach
from services.dispatch.repository import crew, deliveries, instructions
from services.kit.database import Transaction


def instruct(tx: Transaction, delivery: Delivery, wanted: Instruction, reach: Reach) -> Instruction:
    """Say who may ride a delivery that is in no published round; drafts with it become stale.

    Raises
    ------
    CourierNotFound, DeliveryTaken, OutOfBounds
    """
    given = replace(wanted, skills=as_skills(wanted.skills))
    given.check()
    for field, courier_ids in (
        ("courier_ids", given.courier_ids),
        ("forbidden_courier_ids", given.forbidden_courier_ids),
    ):
        for courier_id in courier_ids:
            crew.courier(tx, courier_id, reach, pointer=f"/{field}")
    _change(tx, delivery)
    instructions.put(tx, given)
    return given


def withdraw_instruction(tx: Transaction, delivery: Delivery) -> None:
    """Let a delivery be ridden as its order says. Raises DeliveryTaken."""
    if instructions.of_deliveries(tx, [delivery.id]):
        _change(tx, delivery)
        instructions.remove(tx, delivery.id)


def agree_shares(tx: Transaction, contract_id: str, shares: Sequence[Share]) -> tuple[Share, ...]:
    """Keep how much of a contract's deliveries its holders ride, instead of what was kept before.

    Raises
    ------
    ContractNotFound, CooperativeNotFound, OutOfBounds
    """
    holders = crew.holders(tx, [contract_id]).get(contract_id)
    if holders is None:
        raise ContractNotFound(contract_id)
    for number, share in enumerate(shares):
        if share.cooperative_id not in holders:
            raise CooperativeNotFound(share.cooperative_id, f"/shares/{number}/cooperative_id")
    check_shares(shares, holders)
    crew.save_shares(tx, contract_id, shares)
    return tuple(shares)


def _change(tx: Transaction, delivery: Delivery) -> None:
    known = deliveries.by_id(tx, [delivery.id], lock=True)[delivery.id]
    if known.state not in (DeliveryState.WAITING_FOR_HOLD, DeliveryState.PLANNABLE):
        raise DeliveryTaken(known.reference)
    deliveries.save(tx, replace(known, edition=known.edition + 1))
