"""What a contract's document says besides its parties and prices: its parts, policy, amendments and award."""

from typing import Any

from pydantic import TypeAdapter

from services.billing.domain.amendment import Amendment
from services.billing.domain.award import Award
from services.billing.domain.contract import Contract
from services.billing.domain.policy import HoldPolicy
from services.billing.domain.structure import Structure

_PARTS: dict[str, TypeAdapter[Any]] = {
    "structure": TypeAdapter(Structure),
    "policy": TypeAdapter(HoldPolicy),
    "amendments": TypeAdapter(tuple[Amendment, ...]),
    "award": TypeAdapter(Award | None),
}


def written(contract: Contract) -> dict[str, Any]:
    """Return these terms as JSON."""
    return {name: adapter.dump_python(getattr(contract, name), mode="json") for name, adapter in _PARTS.items()}


def read(terms: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a contract that these terms give; what an older document lacks is left to the defaults."""
    return {name: adapter.validate_python(terms[name]) for name, adapter in _PARTS.items() if name in terms}
