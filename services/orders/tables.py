"""The orders service's schema: registers, recurring requests with the dates they have made, orders, legs, history."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kit.database import BigId, UtcDateTime
from services.kit.events import add_lane_tables
from services.kit.http.idempotency import add_idempotency_table
from services.kit.jobs import add_lease_table

metadata = MetaData()
add_lane_tables(metadata)
add_idempotency_table(metadata)
add_lease_table(metadata)

Id = String(36)
Code = String(64)
Document = JSON().with_variant(JSONB, "postgresql")
"""What is only ever read and written whole."""

sites = Table(
    "sites",
    metadata,
    Column("id", Id, primary_key=True),
    Column("department_id", Code, nullable=False),
    Column("name", String(200), nullable=False),
    Column("address", String(400), nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("access_note", Text, nullable=False),
    Column("contact", String(200), nullable=False),
    Column("opening_note", Text, nullable=False),
    Column("service_seconds", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Index("sites_of_department", "department_id", "name", "id"),
)

load_kinds = Table(
    "load_kinds",
    metadata,
    Column("code", Code, primary_key=True),
    Column("label", String(100), nullable=False),
    Column("unit_grams", Integer, nullable=False),
    Column("unit_millilitres", Integer, nullable=False),
    Column("needs_trailer", Boolean, nullable=False),
    Column("max_per_bike", Integer, nullable=False),
    Column("unit_seconds", Integer, nullable=False, server_default="0"),
    Column("longest_ride_seconds", Integer),
)


known_contracts = Table(
    "known_contracts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("terms", Document, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("warning", Document),
)
"""Contracts as last heard from billing; `warning` is the threshold of the ceiling that was crossed last."""

recurring_requests = Table(
    "recurring_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("department_id", Code, nullable=False),
    Column("title", String(200), nullable=False),
    Column("ends_on", Date),
    Column("terms", Document, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Index("recurring_requests_of_department", "department_id", "id"),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("recurring_request_id", Id, ForeignKey("recurring_requests.id"), primary_key=True),
    Column("occurrence_date", Date, primary_key=True),
    Column("order_id", Id, nullable=False),
)
"""Which dates have been made into orders: the primary key is why each is made exactly once."""

reference_numbers = Table(
    "reference_numbers",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reference", String(32), nullable=False, unique=True),
    Column("department_id", Code, nullable=False),
    Column("contract_id", Id, nullable=False),
    Column("flow", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("client_reference", String(100)),
    Column("recurring_request_id", Id),
    Column("occurrence_date", Date),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("first_date", Date, nullable=False),
    Column("last_date", Date, nullable=False),
    Column("held_cents", BigId),
    Column("refusal", Document),
    Column("version", Integer, nullable=False),
    Column("has_contacts", Boolean, nullable=False),
    Index("orders_of_department", "department_id", "first_date", "id"),
    sqlite_with_rowid=False,
)
# Every index is one more page in every commit; these two hold only the orders that have such a thing.
Index(
    "orders_by_client_reference",
    orders.c.department_id,
    orders.c.client_reference,
    unique=True,
    sqlite_where=orders.c.client_reference.is_not(None),
    postgresql_where=orders.c.client_reference.is_not(None),
)
Index(
    "orders_of_recurring_request",
    orders.c.recurring_request_id,
    orders.c.first_date,
    sqlite_where=orders.c.recurring_request_id.is_not(None),
    postgresql_where=orders.c.recurring_request_id.is_not(None),
)

legs = Table(
    "legs",
    metadata,
    Column("order_id", Id, ForeignKey("orders.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("service_date", Date, nullable=False),
    Column("status", String(16), nullable=False),
    Column("pickup_site_id", Id, nullable=False),
    Column("drop_site_id", Id, nullable=False),
    Column("body", Document, nullable=False),
    Index("legs_by_date", "service_date"),
    sqlite_with_rowid=False,
)

steps = Table(
    "steps",
    metadata,
    Column("order_id", Id, ForeignKey("orders.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("leg", Integer),
    Column("what", String(32), nullable=False),
    Column("actor", String(16), nullable=False),
    Column("cause", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""An order's history: which version of it each line led to, and its place among the lines of that change."""
