"""The lane between services: outbox, relay, bus, consumer, inbox."""

from sqlalchemy import MetaData

from services.kit import leases
from services.kit.events import inbox, outbox


def add_lane_tables(metadata: MetaData) -> None:
    """Add what the lane needs to a service's tables: outbox, positions, receipts, dead letters, leases."""
    outbox.add_to(metadata)
    inbox.add_to(metadata)
    leases.add_to(metadata)
