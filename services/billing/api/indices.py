"""Price indices: values as they were published, added and never edited."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from services.billing.api.shapes import MonthText, fresh
from services.billing.domain.money import decimal_text
from services.billing.domain.month import Month
from services.billing.domain.revision import IndexStatus, IndexValue
from services.billing.queries import indices as queries
from services.billing.use_cases import indices as use_cases
from services.billing.use_cases.indices import Revalued
from services.kit.http.edge import Body, Caller, Now, Once, ReadView, Tx, needs

router = APIRouter(tags=["indices"])

INDEX_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
IndexId = Annotated[str, StringConstraints(pattern=INDEX_ID), Field(examples=["010562718"])]
Number = Annotated[str, StringConstraints(pattern=r"^\d{1,9}(\.\d{1,12})?$"), Field(examples=["128.9"])]
"""A number as text, never in floating point."""


class IndexValueBody(Body):
    """A published value; a provisional one may be followed by others of its month, a definitive one by none."""

    month: MonthText
    value: Number
    status: IndexStatus
    published_on: date
    source: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class IndexValueOut(BaseModel):
    """A recorded value; `version` counts the rows of its month."""

    index_id: str
    month: str
    version: int
    value: str
    status: IndexStatus
    published_on: date
    source: str
    recorded_at: datetime

    @classmethod
    def of(cls, value: IndexValue) -> Self:
        """Show a value."""
        return cls(
            index_id=value.index_id,
            month=str(value.month),
            version=value.version,
            value=format(value.value, "f"),
            status=value.status,
            published_on=value.published_on,
            source=value.source,
            recorded_at=value.recorded_at,
        )


class RevaluedOut(BaseModel):
    """What the value did to a contract's open holds. `short` did not fit under a maximum and is not held.

    `short_text` names what was exhausted, in French, and what is left of it.
    """

    contract_id: str
    legs: int
    change: str
    short: str
    short_text: str

    @classmethod
    def of(cls, revalued: Revalued) -> Self:
        """Show what happened."""
        return cls(
            contract_id=revalued.contract_id,
            legs=revalued.legs,
            change=decimal_text(revalued.change_cents),
            short=decimal_text(revalued.short_cents),
            short_text=revalued.short,
        )


class RecordedOut(IndexValueOut):
    """A value just recorded, and the contracts whose prices follow it."""

    revalued: list[RevaluedOut]


class IndexValuesOut(BaseModel):
    """All rows, by month and version."""

    items: list[IndexValueOut]


class IndexIdsOut(BaseModel):
    """Every index that has a value."""

    items: list[str]


@router.post("/v1/indices/{index_id}/values", status_code=201, response_model=RecordedOut)
def record_value(
    index_id: IndexId,
    body: IndexValueBody,
    _: Annotated[Caller, needs("billing:admin")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Record a published value; open holds of the contracts that follow it are held at the new prices."""
    if (answer := once.replay()) is not None:
        return answer
    value, revalued = use_cases.record_index_value(
        tx,
        index_id,
        Month.parse(body.month),
        Decimal(body.value),
        status=body.status,
        published_on=body.published_on,
        source=body.source,
        at=now,
    )
    out = RecordedOut(**IndexValueOut.of(value).model_dump(), revalued=[RevaluedOut.of(one) for one in revalued])
    return once.keep(201, {"Location": f"/v1/indices/{index_id}/values"}, out)


@router.get("/v1/indices", response_model=IndexIdsOut)
def list_indices(request: Request, _: Annotated[Caller, needs("billing:read")], view: ReadView) -> Response:
    """List the indices that have values."""
    return fresh(request, IndexIdsOut(items=queries.list_indices(view)))


@router.get("/v1/indices/{index_id}/values", response_model=IndexValuesOut)
def list_values(
    request: Request, index_id: IndexId, _: Annotated[Caller, needs("billing:read")], view: ReadView
) -> Response:
    """List an index's values as they were recorded. Raises IndexUnknown."""
    found = queries.list_index_values(view, index_id)
    return fresh(request, IndexValuesOut(items=[IndexValueOut.of(value) for value in found]))
