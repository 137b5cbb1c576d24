"""The HTTP interface of orders; the only room that knows which refusal has which status."""

from fastapi import APIRouter

from services.kit.errors import DomainError
from services.orders.api import orders, recurring_requests, registers
from services.orders.domain import errors
from services.orders.settings import OrdersSettings

PROBLEMS: dict[type[DomainError], int] = {
    errors.NotFound: 404,
    errors.ClientReferenceTaken: 409,
    errors.LoadKindTaken: 409,
    errors.AlreadyCollected: 409,
    errors.AlreadyOver: 409,
    errors.ReturnNeedsOutbound: 409,
    errors.TooLateToAmend: 409,
    errors.NotAmendable: 409,
    errors.NotPaused: 409,
    errors.HasEnded: 409,
    errors.OutOfBounds: 422,
    errors.UnknownSite: 422,
    errors.SameSite: 422,
    errors.UnknownLoadKind: 422,
    errors.RepeatedLoadKind: 422,
    errors.TooMuchForOneBike: 422,
    errors.WrongLegs: 422,
    errors.BadWindow: 422,
    errors.WindowInThePast: 422,
    errors.NoContract: 422,
    errors.WhichContract: 422,
    errors.UnknownContract: 422,
    errors.UnknownDepartment: 422,
    errors.BadRule: 422,
    errors.UnsupportedRulePart: 422,
    errors.RuleNeverHappens: 422,
    errors.UnknownZone: 422,
    errors.NotAnOccurrence: 422,
    errors.WithoutEffect: 422,
    errors.BadPause: 422,
}


def routers(settings: OrdersSettings) -> list[APIRouter]:
    """Return every route of the interface."""
    return [registers.router, orders.router, recurring_requests.make_router(settings)]
