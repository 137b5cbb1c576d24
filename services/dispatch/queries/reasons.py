"""Why a delivery is left out and what would help, in French and with the names that the reader may know."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from services.dispatch.domain.errors import french_of
from services.dispatch.domain.events import StopKind
from services.dispatch.domain.plan import LeftOut, Remedy
from services.dispatch.domain.planning_settings import Priority
from services.dispatch.domain.reach import Reach
from services.dispatch.tables import cooperatives, couriers, shifts
from services.kit.database import View

TRAILER = "trailer"

REASONS = {
    "not-allowed": "ne peut pas la prendre : marché ou consigne",
    "skill": "il manque une compétence ou un équipement",
    "capacity": "vélo trop petit",
    "closed": "site fermé pendant tout le créneau",
    "window": "créneaux intenables",
    "ride-time": "charge trop longtemps à bord",
    "range": "au-delà de l'autonomie du vélo",
    "shift": "hors de la vacation, pauses comprises",
    "lock": "incompatible avec ce qui est commencé ou imposé",
    "share": "part du marché atteinte",
    "limit": "limite de flotte ou de base atteinte",
    "price": "le détour coûterait trop",
    "outweighed": "possible seule, mais pas avec le reste de la journée",
    "no-vehicle": "aucune vacation ce jour",
    "taken-out": "retirée par la régulation",
}
"""Every reason, as it is said of one courier."""

IN_SHORT = {
    "not-allowed": "marché, consigne",
    "skill": "compétence, équipement",
    "capacity": "charge",
    "closed": "site fermé",
    "window": "créneau",
    "ride-time": "durée à bord",
    "range": "autonomie",
    "shift": "vacation",
    "lock": "imposé",
    "share": "part du marché",
    "limit": "flotte, base",
    "price": "détour",
    "outweighed": "journée pleine",
    "no-vehicle": "personne ne roule",
    "taken-out": "retirée",
}
"""Every reason, as a badge."""

PRIORITIES = {Priority.URGENT: "urgente", Priority.ORDINARY: "ordinaire", Priority.CAN_WAIT: "peut attendre"}

LOADS = {"grams": (1000, "kg"), "millilitres": (1000, "litres"), "pieces": (1, "places")}


@dataclass(frozen=True, slots=True)
class ShiftTold:
    """Why one courier does not ride it."""

    shift_id: str
    courier_name: str
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class RemedyTold:
    """What would have served it; `shift_id` and `courier_name` are empty where it is another cooperative's shift."""

    remedy: Remedy
    shift_id: str
    courier_name: str
    words: str


def shift_names(view: View, shift_ids: Collection[str], reach: Reach) -> dict[str, str]:
    """Return who rides each of these shifts, of those within reach; the administration also reads for whom."""
    chosen = (
        select(shifts.c.id, couriers.c.name, shifts.c.cooperative_id, cooperatives.c.name.label("cooperative_name"))
        .join(couriers, couriers.c.id == shifts.c.courier_id)
        .join(cooperatives, cooperatives.c.id == shifts.c.cooperative_id)
        .where(shifts.c.id.in_(list(shift_ids)))
        .order_by(couriers.c.name, shifts.c.id)
    )
    return {
        row.id: f"{row.name} ({row.cooperative_name})" if reach.is_everything else row.name
        for row in view.execute(chosen)
        if reach.covers(row.cooperative_id)
    }


def reasons_told(item: LeftOut, names: Mapping[str, str]) -> list[ShiftTold]:
    """Return why each of these shifts does not serve it."""
    return [
        ShiftTold(reason.shift_id, names[reason.shift_id], reason.code, REASONS.get(reason.code, reason.code))
        for reason in item.reasons
        if reason.shift_id in names
    ]


def remedies_told(item: LeftOut, names: Mapping[str, str], zone: ZoneInfo) -> list[RemedyTold]:
    """Return what would have served it beside the others; each alone is enough."""
    return [
        RemedyTold(
            remedy,
            remedy.shift_id if remedy.shift_id in names else "",
            names.get(remedy.shift_id, ""),
            remedy_words(remedy, names.get(remedy.shift_id, ""), zone),
        )
        for remedy in item.remedies
    ]


def remedy_words(remedy: Remedy, courier_name: str, zone: ZoneInfo) -> str:
    """Return a remedy as something to do, in French; without a name it is another cooperative's courier."""
    who = courier_name or "un coursier d'une autre coopérative"
    of_whom = french_of(who)
    until = f" ({'jusqu’à' if remedy.what == 'end' else 'dès'} {_time(remedy.until, zone)})" if remedy.until else ""
    match remedy.code:
        case "window":
            which = "de l'enlèvement" if remedy.stop is StopKind.PICKUP else "de la livraison"
            when = "jusqu'à" if remedy.what == "end" else "dès"
            return f"créneau {which} {when} {_time(remedy.until, zone)}, avec {who}"
        case "closed":
            which = "de l'enlèvement" if remedy.stop is StopKind.PICKUP else "de la livraison"
            return (
                f"le site {which} ouvert malgré sa fermeture, qui dure jusqu'à {_time(remedy.until, zone)}, avec {who}"
            )
        case "shift" if remedy.what == "end":
            return f"{_minutes(remedy.amount)} de plus à la fin de la vacation {of_whom}{until}"
        case "shift":
            return f"{_minutes(remedy.amount)} de plus au début de la vacation {of_whom}{until}"
        case "skill" if remedy.what == TRAILER:
            return f"une remorque pour {who}"
        case "skill":
            return f"« {remedy.what} » pour {who}"
        case "capacity":
            factor, unit = LOADS[remedy.what]
            return f"{-(-remedy.amount // factor)} {unit} de plus sur le vélo {of_whom}"
        case "range":
            return f"{-(-remedy.amount // 1000)} km d'autonomie de plus pour le vélo {of_whom}"
        case "ride-time":
            return f"{_minutes(remedy.amount)} de plus à bord, avec {who}"
        case "not-allowed":
            return f"l'autorisation pour {who} (marché ou consigne)"
        case "price":
            detour = f"avec {who} elle coûterait {_minutes(remedy.amount)} de trajet"
            return f"priorité « {PRIORITIES[Priority(remedy.what)]} » : {detour}" if remedy.what else detour
        case "limit" if remedy.stop:
            return f"une place de plus à « {remedy.what} », avec {who}"
        case "limit":
            return f"{'une remorque' if remedy.what == TRAILER else f'« {remedy.what} »'} de plus, avec {who}"
        case "share":
            return f"une part du marché relevée de {-(-remedy.amount // 10)} %, avec {who}"
        case _:
            return f"{REASONS.get(remedy.code, remedy.code)} : {who}"


def _minutes(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _time(instant: datetime | None, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%-H h %M}" if instant else "plus tard"
