"""Furnishes an empty house with the demo city: contracts, cooperatives, couriers, bikes, shifts, sites, requests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.demo import city
from services.demo.house import House


@dataclass(slots=True)
class Setting:
    """Identifiers the house gave to what was furnished."""

    contracts: dict[str, str] = field(default_factory=dict)
    sites: dict[tuple[str, str], str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


def furnish(house: House, first: date, last: date, *, scale: int, tell: Callable[[str], None]) -> Setting:
    """Register the demo city for the days `first` to `last`."""
    setting = Setting()
    register_contracts(house, setting, first)
    register_cooperatives(house, first, last)
    house.settle_down()
    register_requests(house, setting, first, last, scale=scale)
    house.run_job("orders", "generate-orders")
    house.settle_down()
    tell(
        f"{len(setting.contracts)} marchés, {len(city.COOPERATIVES)} coopératives, {len(setting.sites)} sites, "
        f"{len(setting.requests)} demandes récurrentes."
    )
    return setting


def register_contracts(house: House, setting: Setting, first: date) -> None:
    """Register the city's contracts, with their first price lists."""
    starts_on, ends_on = city.months_of_service(first)
    for contract in city.CONTRACTS:
        answer = house.admin.post(
            "billing",
            "/v1/contracts",
            {
                "reference": contract.reference,
                "title": contract.title,
                "buyer": {
                    "name": "Ville de Nantes (démonstration)",
                    "siret": "90000030800016",
                    "service_code": contract.service_code,
                    "engagement_number": contract.engagement_number,
                    "postal_address": {"lines": ["2 rue de l'Hôtel-de-Ville"], "postcode": "44094", "city": "Nantes"},
                    "directory_entries": [
                        {
                            "looked_up_on": starts_on.isoformat(),
                            "demands_service_code": bool(contract.service_code),
                            "demands_engagement_number": True,
                        }
                    ],
                },
                "cooperatives": [
                    {
                        "id": holder.id,
                        "name": holder.name,
                        "siret": holder.siret,
                        "address": holder.address,
                        "postal_address": {"lines": [holder.street], "postcode": holder.postcode, "city": "Nantes"},
                        "legal_form": holder.legal_form,
                        "share_capital": holder.share_capital,
                        "vat_regimes": [
                            {"valid_from": "2014-01-01", "vat_number": holder.vat_number, "source": "CGI art. 256"}
                        ],
                        "iban": holder.iban,
                        "contact": {"name": "Service facturation", "email": f"factures@{holder.id}.example"},
                    }
                    for holder in city.COOPERATIVES
                ],
                "departments": [{"id": code, "name": city.DEPARTMENTS[code]} for code in contract.departments],
                "starts_on": starts_on.isoformat(),
                "ends_on": ends_on.isoformat(),
                "ceiling": contract.ceiling,
                "zone": city.ZONE,
                "cutoff_minutes": 16 * 60,
                "billable_failure_percent": 100,
                "late_cancellation_percent": 50,
                "vat_rates": [{"valid_from": "2014-01-01", "percent": "20.00", "source": "CGI art. 278"}],
                "price_list": {
                    "valid_from": starts_on.isoformat(),
                    "lines": [
                        {"code": code, "label": label, "unit": unit, "load_kind": kind, "unit_price": price}
                        for code, label, unit, kind, price in city.PRICES
                    ],
                },
            },
        )
        setting.contracts[contract.reference] = answer["id"]


def register_cooperatives(house: House, first: date, last: date) -> None:
    """Register cooperatives, bikes and couriers, and a shift per courier and working day."""
    places = {site.name: site for site in city.sites()}
    zone = ZoneInfo(city.ZONE)
    for cooperative in city.COOPERATIVES:
        depot = places[cooperative.depot]
        house.admin.post(
            "dispatch",
            "/v1/cooperatives",
            {"id": cooperative.id, "name": cooperative.name},
        )
        dispatcher = house.visitor(f"regie-{cooperative.id}")
        for number, login in enumerate(cooperative.couriers, start=1):
            bike = dispatcher.post(
                "dispatch",
                "/v1/bikes",
                {
                    "name": f"Cargo {number}",
                    "capacity_grams": 160_000,
                    "capacity_millilitres": 900_000,
                    "has_trailer": number % 2 == 1,
                },
            )
            courier = dispatcher.post("dispatch", "/v1/couriers", {"name": login.capitalize(), "account": login})
            day = first
            while day <= last + timedelta(days=1):
                if day.weekday() < 5:
                    dispatcher.post(
                        "dispatch",
                        "/v1/shifts",
                        {
                            "courier_id": courier["id"],
                            "bike_id": bike["id"],
                            "starts_at": datetime.combine(day, cooperative.shift[0], zone).isoformat(),
                            "ends_at": datetime.combine(day, cooperative.shift[1], zone).isoformat(),
                            "start": {"latitude": depot.latitude, "longitude": depot.longitude},
                            "end": {"latitude": depot.latitude, "longitude": depot.longitude},
                        },
                    )
                day += timedelta(days=1)


def register_requests(house: House, setting: Setting, first: date, last: date, *, scale: int) -> None:
    """Let each department register its sites and submit its recurring requests."""
    places = {site.name: site for site in city.sites()}
    for request in city.requests(scale):
        department = house.visitor(request.department)
        for name in {leg.from_site for leg in request.legs} | {leg.to_site for leg in request.legs}:
            if (request.department, name) not in setting.sites:
                place = places[name]
                answer = department.post(
                    "orders",
                    "/v1/sites",
                    {
                        "name": name,
                        "address": f"{name}, Nantes",
                        "latitude": place.latitude,
                        "longitude": place.longitude,
                        "access_note": "Sonner à l'accueil.",
                        "service_seconds": 180,
                    },
                )
                setting.sites[request.department, name] = answer["id"]
        answer = department.post(
            "orders",
            "/v1/recurring-requests",
            {
                "title": request.title,
                "flow": request.flow,
                "start_on": first.isoformat(),
                "ends_on": last.isoformat(),
                "zone": city.ZONE,
                "rule": request.rule,
                "holidays": "skip",
                "legs": [
                    {
                        "pickup": visit(setting, request, leg.from_site, leg.pickup, leg.day_offset),
                        "drop": visit(setting, request, leg.to_site, leg.drop, leg.day_offset),
                        "loads": [{"kind": kind, "count": count} for kind, count in leg.loads],
                    }
                    for leg in request.legs
                ],
            },
        )
        setting.requests.append(answer["id"])


def visit(
    setting: Setting, request: city.RequestTemplate, site: str, window: city.Window, day_offset: int
) -> dict[str, object]:
    """Return one visit of a request's template."""
    return {
        "site_id": setting.sites[request.department, site],
        "window": {"start": window.start, "end": window.end},
        "day_offset": day_offset,
    }
