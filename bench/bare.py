"""The peers of bench/http.py: FastAPI with the same body and no more, or with one plain insert."""

import os
from typing import Any

from fastapi import FastAPI, Response
from sqlalchemy import JSON, Column, Integer, MetaData, Table, create_engine, event, insert

from services.orders.api.bodies import OrderBody

app = FastAPI(openapi_url=None)
metadata = MetaData()
asked = Table("asked", metadata, Column("id", Integer, primary_key=True), Column("body", JSON, nullable=False))
engine = create_engine(os.environ.get("BARE_DATABASE_URL", "sqlite://"))

if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _same_promises_as_ours(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=10000")


if "BARE_DATABASE_URL" in os.environ:
    metadata.create_all(engine)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that it runs."""
    return {"status": "ok"}


@app.post("/validated", status_code=201)
def validated(body: OrderBody) -> dict[str, str]:
    """Validate the body and answer."""
    return {"flow": body.flow}


@app.post("/inserted", status_code=201)
def inserted(body: OrderBody) -> dict[str, str]:
    """Validate the body, write it as one row, answer."""
    with engine.begin() as connection:
        connection.execute(insert(asked).values(body=body.model_dump(mode="json")))
    return {"flow": body.flow}


@app.get("/unchanged")
def unchanged() -> Response:
    """Answer 304 without looking anything up."""
    return Response(status_code=304, headers={"ETag": '"1"'})
