"""Dispatch over HTTP; the only place that knows which refusal has which status."""

from services.dispatch.api import city
from services.dispatch.domain import errors
from services.kit.errors import DomainError

# What is not here is a conflict with the present state: 409.
PROBLEMS: dict[type[DomainError], int] = {
    **city.PROBLEMS,
    errors.CooperativeNotFound: 404,
    errors.CourierNotFound: 404,
    errors.NotACourier: 404,
    errors.BikeNotFound: 404,
    errors.ShiftNotFound: 404,
    errors.DeliveryNotFound: 404,
    errors.ContractNotFound: 404,
    errors.PlanNotFound: 404,
    errors.RoundNotFound: 404,
    errors.ReplanNotFound: 404,
    errors.SiteNotFound: 404,
    errors.ClosureNotFound: 404,
    errors.StopNotFound: 404,
    errors.ProofNotFound: 404,
    errors.OutOfBounds: 422,
    errors.CooperativeMissing: 422,
    errors.BadReport: 422,
    errors.NotAPicture: 422,
}
