"""How billing's values look at the edge: amounts and percentages as decimal text, never as JSON numbers."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from services.billing.domain.money import AMOUNT_PATTERN, cents
from services.billing.domain.statement import Month
from services.kit.http.answers import etag_of, not_modified


def _month(text: str) -> str:
    try:
        Month.parse(text)
    except ValueError:
        raise ValueError("Donnez un mois qui existe, par exemple 2026-11.") from None
    return text


Amount = Annotated[str, StringConstraints(pattern=AMOUNT_PATTERN), Field(examples=["1234.50"])]
"""Euros as text, at most two decimals; read it with `cents`."""
UnitPrice = Annotated[str, StringConstraints(pattern=r"^\d{1,7}(\.\d{1,2})?$"), Field(examples=["9.45"])]
"""A unit price: like an amount, below ten million euros."""
RatePercent = Annotated[str, StringConstraints(pattern=r"^\d{1,2}(\.\d)?0?$"), Field(examples=["20.0"])]
"""A tax rate in per cent as text, at most one decimal that counts; read it with `permille`."""
WholePercent = Annotated[int, Field(ge=0, le=100, strict=True)]
PartyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"), Field(examples=["proprete"])]
MonthText = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d{2}$"), AfterValidator(_month), Field(examples=["2026-11"])
]


def permille(rate: str) -> int:
    """Read a `RatePercent`: "5.5" is 55."""
    return cents(rate) // 10


def percent_text(rate_permille: int) -> str:
    """Write a tax rate: 55 is "5.5"."""
    return f"{rate_permille // 10}.{rate_permille % 10}"


def fresh(request: Request, model: BaseModel) -> Response:
    """Answer with the model and its strong ETag, or 304 when the caller has it already."""
    content = model.model_dump_json().encode()
    etag = etag_of(content)
    return not_modified(request, etag) or Response(content, media_type="application/json", headers={"ETag": etag})
