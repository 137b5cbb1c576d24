"""Whole aggregates in and out of the tables."""

from services.orders.repository.orders import Orders, orders_of
from services.orders.repository.recurring_requests import RecurringRequests
from services.orders.repository.registers import Contracts, LoadKinds, Sites

__all__ = ["Contracts", "LoadKinds", "Orders", "RecurringRequests", "Sites", "orders_of"]
