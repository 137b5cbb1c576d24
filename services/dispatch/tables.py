"""Dispatch's schema: crews, contracts as heard, deliveries, plans, rounds with their stops, reports and proofs."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

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
Account = String(200)

cooperatives = Table(
    "cooperatives",
    metadata,
    Column("id", Code, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("version", Integer, nullable=False),
)

couriers = Table(
    "couriers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cooperative_id", Code, ForeignKey("cooperatives.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("phone", String(50), nullable=False),
    # Null without a log-in, so that it can be unique.
    Column("account", Account, unique=True),
    Column("is_active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("skills", JSON, nullable=False, server_default="[]"),
)
Index("couriers_by_cooperative", couriers.c.cooperative_id, couriers.c.id)

bikes = Table(
    "bikes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cooperative_id", Code, ForeignKey("cooperatives.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("capacity_grams", Integer, nullable=False),
    Column("capacity_millilitres", Integer, nullable=False),
    Column("has_trailer", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("capacity_pieces", Integer),
    Column("speed_percent", Integer, nullable=False, server_default="100"),
    Column("range_metres", Integer),
    Column("skills", JSON, nullable=False, server_default="[]"),
    Column("kind", String(10), nullable=False, server_default="electric"),
    CheckConstraint("capacity_grams > 0 AND capacity_millilitres > 0", name="carries_something"),
)
Index("bikes_by_cooperative", bikes.c.cooperative_id, bikes.c.id)

shifts = Table(
    "shifts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cooperative_id", Code, ForeignKey("cooperatives.id"), nullable=False),
    Column("courier_id", Id, ForeignKey("couriers.id"), nullable=False),
    Column("bike_id", Id, ForeignKey("bikes.id"), nullable=False),
    Column("day", Date, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("start", JSON, nullable=False),
    Column("end", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("breaks", JSON, nullable=False, server_default="[]"),
    # Null as long as it is ridden as agreed.
    Column("lost_since", UtcDateTime),
    CheckConstraint("starts_at < ends_at", name="lasts"),
)
Index("shifts_by_day", shifts.c.day, shifts.c.cooperative_id, shifts.c.id)
Index("shifts_by_courier", shifts.c.courier_id, shifts.c.starts_at)
Index("shifts_by_bike", shifts.c.bike_id, shifts.c.starts_at)

contract_holders = Table(
    "contract_holders",
    metadata,
    Column("contract_id", Id, primary_key=True),
    Column("cooperative_id", Code, primary_key=True),
    Column("cooperative_name", String(200), nullable=False),
    Column("contract_reference", String(200), nullable=False, server_default=""),
)
"""Which cooperatives may ride under a contract, as billing said last."""

contract_shares = Table(
    "contract_shares",
    metadata,
    Column("contract_id", Id, primary_key=True),
    Column("cooperative_id", Code, primary_key=True),
    Column("at_least_permille", Integer, nullable=False),
    Column("at_most_permille", Integer, nullable=False),
    CheckConstraint("0 <= at_least_permille AND at_least_permille <= at_most_permille", name="in_order"),
)
"""How much of a contract's deliveries a holder rides, as the administration keeps it; a holder without a row any."""

instructions = Table(
    "instructions",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("skills", JSON, nullable=False),
    Column("courier_ids", JSON, nullable=False),
    Column("forbidden_courier_ids", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("given_by", Account, nullable=False),
    Column("given_at", UtcDateTime, nullable=False),
    Column("priority", String(20), nullable=False, server_default="ordinary"),
)
"""Who may ride a delivery and what it is worth, as a dispatcher wants it beyond what its order says."""

shared_equipment = Table(
    "shared_equipment",
    metadata,
    Column("cooperative_id", Code, ForeignKey("cooperatives.id"), primary_key=True),
    Column("equipment", String(40), primary_key=True),
    Column("at_most", Integer, nullable=False),
)
"""How many bikes with an equipment may ride at the same time, where a cooperative has fewer of it than bikes."""

site_limits = Table(
    "site_limits",
    metadata,
    Column("site_id", Code, primary_key=True),
    Column("site_name", String(200), nullable=False),
    Column("at_most", Integer, nullable=False),
)
"""How many bikes may call at a site in a day."""

closures = Table(
    "closures",
    metadata,
    Column("id", Id, primary_key=True),
    Column("site_id", Code, nullable=False),
    Column("site_name", String(200), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("told_by", Account, nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
    CheckConstraint("starts_at < ends_at", name="lasts"),
)
"""When sites are closed, as dispatchers heard."""

Index("closures_by_end", closures.c.ends_at)

planning_settings = Table(
    "planning_settings",
    metadata,
    # A local date, or empty for every day that has none of its own.
    Column("day", String(10), primary_key=True),
    Column("content", JSON, nullable=False),
    Column("set_by", Account, nullable=False),
    Column("set_at", UtcDateTime),
    Column("version", Integer, nullable=False),
)
"""What plans are weighed by, as dispatchers set it."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("reference", Code, nullable=False),
    Column("contract_id", Id, nullable=False),
    Column("department_id", Code, nullable=False),
    Column("service_date", Date, nullable=False),
    Column("pickup", JSON, nullable=False),
    Column("drop", JSON, nullable=False),
    Column("loads", JSON, nullable=False),
    Column("needs_trailer", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("edition", Integer, nullable=False),
    Column("cancellation", JSON),
    Column("round_id", Id, nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("direct_metres", Integer),
    Column("is_direct_estimated", Boolean, nullable=False, server_default=false()),
)
Index("deliveries_by_day", deliveries.c.service_date, deliveries.c.state)
Index("deliveries_by_state", deliveries.c.state, deliveries.c.service_date)

plans = Table(
    "plans",
    metadata,
    Column("id", Id, primary_key=True),
    Column("day", Date, nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("requested_by", Account, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("state", String(20), nullable=False),
    Column("began_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("failure", Text, nullable=False),
    # Inputs, draft rounds and what is left out: only ever read and written whole.
    Column("content", JSON, nullable=False),
    Column("version", Integer, nullable=False),
)
Index("plans_by_day", plans.c.day, plans.c.id)
Index("plans_by_state", plans.c.state, plans.c.id)

plan_computations = Table(
    "plan_computations",
    metadata,
    Column("plan_id", Id, ForeignKey("plans.id"), primary_key=True),
    Column("marks", JSON, nullable=False),
    Column("is_stop_asked", Boolean, nullable=False),
)
"""How a plan's computation goes: beside the plan, for it is written every second."""

plan_parts = Table(
    "plan_parts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("plan_id", Id, ForeignKey("plans.id"), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("span_start", Float(53), nullable=False, server_default="0"),
    Column("span_end", Float(53), nullable=False, server_default="1"),
    Column("problem", LargeBinary, nullable=False),
    Column("start", LargeBinary),
    # Null until it was searched, empty where the search failed.
    Column("answer", LargeBinary),
)
"""Parts of big days while they are searched."""

Index("plan_parts_by_plan", plan_parts.c.plan_id)

replans = Table(
    "replans",
    metadata,
    Column("id", Id, primary_key=True),
    Column("day", Date, nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("requested_by", Account, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime),
    # What was told, what is proposed, what it was made from: only ever read and written whole.
    Column("content", JSON, nullable=False),
)
"""Readjustments of published days, proposed and accepted."""

Index("replans_by_day", replans.c.day, replans.c.id)

rounds = Table(
    "rounds",
    metadata,
    Column("id", Id, primary_key=True),
    Column("plan_id", Id, ForeignKey("plans.id"), nullable=False),
    Column("cooperative_id", Code, ForeignKey("cooperatives.id"), nullable=False),
    Column("courier_id", Id, ForeignKey("couriers.id"), nullable=False),
    Column("bike_id", Id, ForeignKey("bikes.id"), nullable=False),
    Column("shift_id", Id, nullable=False),
    # The shift while the round occupies it, null once withdrawn: two published rounds never share a shift.
    Column("occupied_shift_id", Id, unique=True),
    Column("shift_print", Code, nullable=False),
    Column("day", Date, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("travel_seconds", Integer, nullable=False),
    Column("travel_metres", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawal_reason", Text, nullable=False),
    Column("breaks", JSON, nullable=False, server_default="[]"),
)
"""Rounds from their publication on; drafts are part of their plan."""

Index("rounds_by_day", rounds.c.day, rounds.c.cooperative_id, rounds.c.id)
Index("rounds_by_courier", rounds.c.courier_id, rounds.c.day)
Index("rounds_open", rounds.c.state, rounds.c.day)

stops = Table(
    "stops",
    metadata,
    Column("id", Id, primary_key=True),
    Column("round_id", Id, ForeignKey("rounds.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("order_id", Id, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("arrives_at", UtcDateTime, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("leaves_at", UtcDateTime, nullable=False),
    Column("aboard_grams", Integer, nullable=False),
    Column("aboard_millilitres", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("started_at", UtcDateTime),
    Column("arrived_at", UtcDateTime),
    Column("reported_at", UtcDateTime),
    Column("received_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("counted", JSON, nullable=False),
    Column("reason_code", Code, nullable=False),
    Column("note", Text, nullable=False),
    Column("proof_ids", JSON, nullable=False),
    Column("flags", JSON, nullable=False),
    UniqueConstraint("round_id", "position"),
    UniqueConstraint("round_id", "order_id", "leg", "kind"),
)
Index("stops_by_delivery", stops.c.order_id, stops.c.leg)

reports = Table(
    "reports",
    metadata,
    Column("courier_id", Id, primary_key=True),
    Column("event_id", Id, primary_key=True),
    Column("stop_id", Id, nullable=False),
    Column("digest", Code, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("content", JSON, nullable=False),
    Column("result", JSON, nullable=False),
)
"""Everything a courier's device said and what it was answered; added, never edited."""

Index("reports_by_stop", reports.c.stop_id, reports.c.occurred_at)

proofs = Table(
    "proofs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("stop_id", Id, ForeignKey("stops.id"), nullable=False),
    # Null until the picture has arrived: a report may announce it.
    Column("received_at", UtcDateTime),
    Column("media_type", String(20), nullable=False),
    Column("bytes", BigId, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("sent_sha256", String(64), nullable=False),
)
"""Photos; the pictures are files outside the database."""

Index("proofs_by_stop", proofs.c.stop_id)

courier_days = Table(
    "courier_days",
    metadata,
    Column("courier_id", Id, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""Counts up with every change of what a courier's phone shows for a day: all that an unchanged poll reads."""
