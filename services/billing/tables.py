"""Billing's schema: contracts and price lists, hot balances and their scopes, holds, ledger, statements, exports."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
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
Cents = BigId

contracts = Table(
    "contracts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reference", String(50), nullable=False),
    Column("buyer_siret", String(14), nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    # Everything else of the terms, as one document: it is only ever read and written whole.
    Column("terms", JSON, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    UniqueConstraint("buyer_siret", "reference"),
)
"""A contract's terms."""

balances = Table(
    "balances",
    metadata,
    Column("contract_id", Id, ForeignKey("contracts.id"), primary_key=True),
    Column("ceiling_cents", Cents, nullable=False),
    Column("held_cents", Cents, nullable=False),
    Column("owed_cents", Cents, nullable=False),
    Column("invoiced_cents", Cents, nullable=False),
    Column("reached_percent", Integer, nullable=False),
    # A new id whenever terms or prices change: what was read under an id may be kept in memory for ever.
    Column("terms_id", Id, nullable=False),
    CheckConstraint("held_cents >= 0 AND owed_cents >= 0 AND invoiced_cents >= 0", name="nothing_below_zero"),
    CheckConstraint("held_cents + owed_cents + invoiced_cents <= ceiling_cents", name="never_beyond_the_ceiling"),
)
"""One locked row per contract: what stands under its ceiling."""

scopes = Table(
    "scopes",
    metadata,
    Column("contract_id", Id, ForeignKey("contracts.id"), primary_key=True),
    Column("key", Code, primary_key=True),
    Column("ceiling_cents", Cents, nullable=False),
    Column("held_cents", Cents, nullable=False),
    Column("owed_cents", Cents, nullable=False),
    Column("invoiced_cents", Cents, nullable=False),
    Column("reached_percent", Integer, nullable=False),
    CheckConstraint("held_cents >= 0 AND owed_cents >= 0 AND invoiced_cents >= 0", name="nothing_below_zero"),
    CheckConstraint("held_cents + owed_cents + invoiced_cents <= ceiling_cents", name="never_beyond_the_maximum"),
)
"""What stands in each part of a contract that has parts; written under the lock of the contract's balance only."""

approvals = Table(
    "approvals",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("contract_id", Id, ForeignKey("contracts.id"), nullable=False),
    Column("department_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    # The order as it was asked: it is priced again when it is approved.
    Column("content", JSON, nullable=False),
    Column("first_service_date", Date, nullable=False),
    Column("asked_cents", Cents, nullable=False),
    Column("reason_code", Code, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    # Set once, when somebody decides, or nobody did in time; null until then.
    Column("is_approved", Boolean),
    Column("decided_by_id", String(200), nullable=False, server_default=""),
    Column("decided_by_name", String(200), nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("decided_at", UtcDateTime),
)
"""Orders that wait, or waited, for a named person; none of them is held while it waits."""

Index("approvals_waiting", approvals.c.contract_id, approvals.c.is_approved, approvals.c.asked_at)

price_lists = Table(
    "price_lists",
    metadata,
    Column("id", Id, primary_key=True),
    Column("contract_id", Id, ForeignKey("contracts.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    UniqueConstraint("contract_id", "version"),
    UniqueConstraint("contract_id", "valid_from"),
)
"""Versions of a contract's unit prices; added, never edited."""

holds = Table(
    "holds",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("contract_id", Text, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("is_held", Boolean, nullable=False),
    Column("refusal_code", Code, nullable=False),
    Column("refusal", Text, nullable=False),
    Column("asked_cents", Cents, nullable=False),
    Column("left_cents", Cents, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
)
"""The one decision about an order: held, or refused and why."""

Index(
    "holds_refused",
    holds.c.contract_id,
    holds.c.decided_at,
    sqlite_where=holds.c.is_held.is_(False),
    postgresql_where=holds.c.is_held.is_(False),
)

charges = Table(
    "charges",
    metadata,
    Column("order_id", Id, ForeignKey("holds.order_id"), primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("contract_id", Text, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("service_date", Date, nullable=False),
    Column("origin_site_id", Text, nullable=False),
    Column("origin_name", Text, nullable=False),
    Column("destination_site_id", Text, nullable=False),
    Column("destination_name", Text, nullable=False),
    Column("needs_trailer", Boolean, nullable=False),
    Column("price_list_id", Id, nullable=False),
    Column("price_list_version", Integer, nullable=False),
    Column("estimate", JSON, nullable=False),
    Column("held_cents", Cents, nullable=False),
    Column("held_at", UtcDateTime, nullable=False),
    # What a penalty needs: the events it rests on, when it was ordered, what was promised.
    Column("facts", JSON),
    # The coefficient it is held at, where the maximum is consumed at revised prices.
    Column("coefficient", JSON),
    # Set once, when the leg is settled; outcome is null until then.
    Column("outcome", String(32)),
    Column("amount_cents", Cents, nullable=False),
    Column("is_billable", Boolean, nullable=False, server_default=false()),
    Column("cooperative_id", Code, nullable=False),
    Column("settled_on", Date),
    Column("settlement", JSON),
    Column("statement_id", Id, ForeignKey("statements.id")),
    # What the last of its decisions says; `amount_cents` is what is due after cuts and credits.
    Column("acceptance", String(16), nullable=False, server_default="delivered"),
    Column("cuts", JSON),
    Column("decisions", Integer, nullable=False, server_default="0"),
    Column("credited_cents", Cents, nullable=False, server_default="0"),
    Column("lot", Integer, nullable=False, server_default="0"),
    # What it comes to at revised prices, from its closing on.
    Column("revised", JSON),
    CheckConstraint("amount_cents >= 0 AND amount_cents <= held_cents", name="never_beyond_the_hold"),
)
"""One row per order leg: what was held, what it came to, and on which statement."""

Index("charges_by_contract", charges.c.contract_id, charges.c.service_date)
Index(
    "charges_to_invoice",
    charges.c.contract_id,
    charges.c.settled_on,
    sqlite_where=charges.c.is_billable & charges.c.statement_id.is_(None),
    postgresql_where=charges.c.is_billable & charges.c.statement_id.is_(None),
)
Index("charges_by_statement", charges.c.statement_id)

index_values = Table(
    "index_values",
    metadata,
    Column("index_id", Code, primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("value", String(40), nullable=False),
    Column("status", String(16), nullable=False),
    Column("published_on", Date, nullable=False),
    Column("source", Text, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
)
"""Values of price indices as they were published; added, never edited."""

applied_coefficients = Table(
    "applied_coefficients",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    # The statement whose legs it revises: itself, or an earlier one that it regularises.
    Column("billed_on_id", Id, ForeignKey("statements.id"), primary_key=True),
    Column("period", String(7), primary_key=True),
    Column("contract_id", Id, nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("is_provisional", Boolean, nullable=False),
    Column("coefficient", JSON, nullable=False),
    # Set once, when a later closing reckoned a provisional one again with the definitive value.
    Column("dealt_with_at", UtcDateTime),
)
"""The coefficients a statement was made with, and what they were reckoned from; added, never edited."""

Index("applied_coefficients_by_contract", applied_coefficients.c.contract_id)

revised_legs = Table(
    "revised_legs",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("period", String(7), nullable=False),
    Column("full_cents", Cents, nullable=False),
    Column("at_base", Boolean, nullable=False),
    Column("beyond_cents", Cents, nullable=False),
    Column("beyond", Text, nullable=False),
)
"""What the legs of a statement came to at revised prices when it was closed; added, never edited."""

regularisations = Table(
    "regularisations",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    # Which of the statement's corrections, in its order.
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("contract_id", Id, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("amount_cents", Cents, nullable=False),
)
"""What a later statement corrected of a leg billed with a provisional coefficient; added, never edited."""

Index("regularisations_by_leg", regularisations.c.order_id, regularisations.c.leg)

ledger = Table(
    "ledger",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("contract_id", Id, nullable=False),
    Column("source", String(16), nullable=False),
    Column("target", String(16), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("cause", String(80), nullable=False),
    Column("order_id", Id, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("booked_at", UtcDateTime, nullable=False),
    # The keys of the scopes it counts in besides the whole life, with spaces between them.
    Column("scopes", String(250), nullable=False, server_default=""),
    CheckConstraint("amount_cents > 0 AND source <> target", name="moves_something_somewhere"),
)
"""Entries, added and never edited: an amount from one account of a contract to another."""

Index("ledger_by_contract", ledger.c.contract_id, ledger.c.source, ledger.c.target)
Index("ledger_by_order", ledger.c.order_id)

closings = Table(
    "closings",
    metadata,
    Column("contract_id", Id, ForeignKey("contracts.id"), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("closed_at", UtcDateTime, nullable=False),
)
"""Months closed for good, with or without a statement."""

statement_counts = Table(
    "statement_counts",
    metadata,
    Column("seller_siret", String(14), primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)
"""The last number given per seller and year; counted up in the closing transaction, so that none is burnt."""

statements = Table(
    "statements",
    metadata,
    Column("id", Id, primary_key=True),
    Column("contract_id", Id, ForeignKey("contracts.id"), nullable=False),
    Column("buyer_siret", String(14), nullable=False),
    Column("seller_siret", String(14), nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("number", String(20), nullable=False),
    Column("month", String(7), nullable=False),
    Column("net_cents", Cents, nullable=False),
    Column("tax_cents", Cents, nullable=False),
    Column("content", JSON, nullable=False),
    Column("closed_at", UtcDateTime, nullable=False),
    # The statement that this one bills anew, after the platform refused it.
    Column("replaces_id", Id),
    # What of the contract's advance it takes back.
    Column("prepaid_cents", Cents, nullable=False, server_default="0"),
    UniqueConstraint("seller_siret", "number"),
)
"""Closed statements, frozen with copies of their parties."""

rides = Table(
    "rides",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("round_id", Text, nullable=False),
    Column("round_metres", BigId, nullable=False),
    Column("direct_metres", BigId, nullable=False),
    Column("distance_source", String(16), nullable=False),
    Column("bike_kind", String(16)),
    Column("load_grams", BigId, nullable=False),
    Column("mass_source", String(16), nullable=False),
    Column("gram_metres", BigId, nullable=False),
    # What its round came to when its month was closed: null until then, and for a leg of no round.
    Column("total_metres", BigId),
    Column("total_gram_metres", BigId),
    Column("total_legs", Integer),
)
"""How the leg of a charge was ridden, kept when it is settled."""

Index("rides_by_round", rides.c.round_id)

emissions = Table(
    "emissions",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    Column("baseline", String(1), nullable=False),
    Column("factors", JSON, nullable=False),
)
"""What a statement's emissions are computed from, frozen with it."""
Index("statements_by_month", statements.c.contract_id, statements.c.month)

penalties = Table(
    "penalties",
    metadata,
    Column("id", Id, primary_key=True),
    Column("contract_id", Id, ForeignKey("contracts.id"), nullable=False),
    Column("order_id", Id, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("rule_code", Code, nullable=False),
    Column("month", String(7), nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
    UniqueConstraint("order_id", "leg", "rule_code"),
)
"""What deliveries cost their cooperative, with the facts that prove it; added, never edited."""

Index("penalties_by_contract", penalties.c.contract_id, penalties.c.month)

penalty_steps = Table(
    "penalty_steps",
    metadata,
    Column("penalty_id", Id, ForeignKey("penalties.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("amount_cents", Cents, nullable=False),
    Column("by", String(200), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("content", JSON, nullable=False),
)
"""What was done about a penalty: notified, contested, decided, applied; added, never edited."""

documents = Table(
    "documents",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    Column("format", String(8), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    # Names and versions of what wrote and judged an e-invoice; empty for what is drawn for reading only.
    Column("made_with", Text, nullable=False, server_default=""),
    Column("rendered_at", UtcDateTime, nullable=False),
)
"""A statement's bytes as first rendered: every download gives these."""

document_parts = Table(
    "document_parts",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    Column("format", String(8), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
"""What of a large document does not stand in its own row: the rest of its bytes, in order."""

exports = Table(
    "exports",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("statement_id", Id, ForeignKey("statements.id"), nullable=False),
    Column("format", String(8), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("account_name", String(200), nullable=False),
    Column("exported_at", UtcDateTime, nullable=False),
)
"""Who took which bytes, when."""

Index("exports_by_statement", exports.c.statement_id)

decisions = Table(
    "decisions",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("acceptance", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("cuts", JSON, nullable=False),
    Column("given_back_cents", Cents, nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("account_name", String(200), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["order_id", "leg"], ["charges.order_id", "charges.leg"]),
)
"""What the buyer decided about each leg, in order; added, never edited."""

credit_notes = Table(
    "credit_notes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("statement_id", Id, ForeignKey("statements.id"), nullable=False),
    Column("contract_id", Id, ForeignKey("contracts.id"), nullable=False),
    Column("buyer_siret", String(14), nullable=False),
    Column("seller_siret", String(14), nullable=False),
    Column("cooperative_id", Code, nullable=False),
    Column("number", String(20), nullable=False),
    Column("is_internal", Boolean, nullable=False),
    Column("is_billed_anew", Boolean, nullable=False),
    Column("net_cents", Cents, nullable=False),
    Column("tax_cents", Cents, nullable=False),
    Column("content", JSON, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    UniqueConstraint("seller_siret", "number"),
)
"""Credit notes, frozen; a transmitted one is numbered in its seller's sequence of statements."""

Index("credit_notes_by_statement", credit_notes.c.statement_id)

credited_legs = Table(
    "credited_legs",
    metadata,
    Column("credit_note_id", Id, ForeignKey("credit_notes.id"), primary_key=True),
    Column("order_id", Id, primary_key=True),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("statement_id", Id, ForeignKey("statements.id"), nullable=False),
    Column("contract_id", Id, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    # The day whose period of the contract gets the amount back.
    Column("service_date", Date, nullable=False),
    Column("vat_permille", Integer, nullable=False),
    Column("amount_cents", Cents, nullable=False),
    CheckConstraint("amount_cents >= 0", name="never_below_nothing"),
    ForeignKeyConstraint(["order_id", "leg"], ["charges.order_id", "charges.leg"]),
)
"""What each note gave back, leg by leg."""

Index("credited_legs_by_statement", credited_legs.c.statement_id)
Index("credited_legs_by_leg", credited_legs.c.order_id, credited_legs.c.leg)

credit_note_documents = Table(
    "credit_note_documents",
    metadata,
    Column("note_id", Id, ForeignKey("credit_notes.id"), primary_key=True),
    Column("format", String(8), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    # Names and versions of what wrote and judged it.
    Column("made_with", Text, nullable=False),
    Column("rendered_at", UtcDateTime, nullable=False),
)
"""The e-invoice of a transmitted note, as first written: every download gives these bytes."""

internal_note_counts = Table(
    "internal_note_counts",
    metadata,
    Column("seller_siret", String(14), primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)
"""The last number of the internal series per seller and year; counted up like that of statements."""

statuses = Table(
    "statuses",
    metadata,
    Column("statement_id", Id, ForeignKey("statements.id"), primary_key=True),
    Column("id", String(100), primary_key=True),
    Column("status", String(32), nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("reason_code", Code, nullable=False),
    Column("reason", Text, nullable=False),
    Column("heard_at", UtcDateTime, nullable=False),
)
"""What the platform said of each statement, by its own ids and times."""
