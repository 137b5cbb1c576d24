"""What a department sees in its browser: server-rendered, French, working without script and by keyboard."""

from fastapi import APIRouter

from services.kit.errors import DomainError
from services.orders.pages import calendar, orders, recurring_requests, sites
from services.orders.pages.edge import NoDepartment
from services.orders.settings import OrdersSettings

PROBLEMS: dict[type[DomainError], int] = {NoDepartment: 403}


def routers(settings: OrdersSettings) -> list[APIRouter]:
    """Return every page; those with a name of their own come before those that end with an id."""
    return [sites.router, recurring_requests.make_router(settings), orders.router, calendar.router]
