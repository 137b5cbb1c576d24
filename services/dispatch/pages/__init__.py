"""Dispatch's pages, in French: they work without script and by keyboard, and ask nothing of another origin."""

from pathlib import Path

from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.domain.errors import french_of
from services.dispatch.domain.events import StopKind
from services.dispatch.domain.failure import FAILURE_REASONS
from services.dispatch.domain.plan import PlanState
from services.dispatch.domain.ride import (
    ADDED,
    AMENDED,
    BEFORE_PUBLICATION,
    DROP_BEFORE_PICKUP,
    IN_THE_FUTURE,
    PICKUP_DEDUCED,
    RETIMED,
)
from services.dispatch.domain.round import RoundState, StopState
from services.dispatch.queries.reasons import IN_SHORT, PRIORITIES
from services.kit.http.html import NARROW_SPACE, SPACE, number, templates

pages = templates(Path(__file__).parents[1])

DELIVERY_STATES = {
    DeliveryState.WAITING_FOR_HOLD: ("en attente d'accord", "warn"),
    DeliveryState.REFUSED: ("refusée", "bad"),
    DeliveryState.PLANNABLE: ("à planifier", "warn"),
    DeliveryState.PLANNED: ("planifiée", ""),
    DeliveryState.COLLECTED: ("enlevée", ""),
    DeliveryState.DELIVERED: ("livrée", "good"),
    DeliveryState.FAILED: ("en échec", "bad"),
    DeliveryState.CANCELLED: ("annulée", ""),
    DeliveryState.LAPSED: ("périmée", "bad"),
}
STOP_STATES = {
    StopState.TO_DO: ("à faire", ""),
    StopState.STARTED: ("en route", "warn"),
    StopState.ARRIVED: ("sur place", "warn"),
    StopState.HELD: ("fait, attend l'enlèvement", "warn"),
    StopState.COMPLETED: ("fait", "good"),
    StopState.FAILED: ("échec", "bad"),
    StopState.SKIPPED: ("sans objet", ""),
    StopState.CANCELLED: ("annulé", ""),
    StopState.LAPSED: ("périmé", "bad"),
    StopState.MOVED: ("retiré", ""),
}
ROUND_STATES = {
    RoundState.DRAFT: ("brouillon", "warn"),
    RoundState.PUBLISHED: ("publiée", "good"),
    RoundState.UNDER_WAY: ("en cours", "good"),
    RoundState.CLOSED: ("terminée", ""),
    RoundState.WITHDRAWN: ("retirée", "bad"),
}
FLAGS = {
    AMENDED: "créneau modifié par le service",
    ADDED: "ajouté après la publication",
    RETIMED: "horaire changé après la publication",
    IN_THE_FUTURE: "heure du téléphone dans le futur",
    BEFORE_PUBLICATION: "heure du téléphone antérieure à la publication",
    DROP_BEFORE_PICKUP: "remise notée avant l'enlèvement",
    PICKUP_DEDUCED: "enlèvement déduit de la remise",
}
KINDS = {StopKind.PICKUP: "Enlèvement", StopKind.DROP: "Livraison"}


def kilos(grams: int) -> str:
    """Write a weight: 24000 -> « 24 kg »."""
    return number(grams / 1000, 0 if grams % 1000 == 0 else 1) + f"{SPACE}kg"


def litres(millilitres: int) -> str:
    """Write a volume: 120000 -> « 120 l »."""
    return number(millilitres / 1000, 0 if millilitres % 1000 == 0 else 1) + f"{SPACE}l"


def kilometres(metres: int) -> str:
    """Write a distance: 5125 -> « 5,1 km »."""
    return number(metres / 1000, 1) + f"{SPACE}km"


def capitalised(text: str) -> str:
    """Begin a sentence: its first letter alone is made large."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """Write a duration: 5400 -> « 1 h 30 »."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}{SPACE}h{NARROW_SPACE}{minutes:02d}" if hours else f"{minutes}{SPACE}min"


pages.environment.filters.update(
    capitalised=capitalised, kilos=kilos, litres=litres, kilometres=kilometres, duration=duration, french_of=french_of
)
pages.environment.globals.update(
    delivery_states=DELIVERY_STATES,
    stop_states=STOP_STATES,
    round_states=ROUND_STATES,
    flags=FLAGS,
    kinds=KINDS,
    failure_reasons=FAILURE_REASONS,
    priorities=PRIORITIES,
    reasons_in_short=IN_SHORT,
    PICKUP=StopKind.PICKUP,
    PlanState=PlanState,
    RoundState=RoundState,
    StopState=StopState,
)
