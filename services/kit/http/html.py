"""Server-rendered pages: a Jinja environment per service on the kit's `base.html`, and how French is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from services.kit.clock import utc_now
from services.kit.http.access import caller_of

KIT_TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_DAYS = ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim.")
_MONTHS = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")


@dataclass(frozen=True)
class Link:
    """An entry of the navigation, shown to callers who have `scope`."""

    path: str
    label: str
    scope: str


class Pages:
    """The templates of one service, which may extend the kit's `base.html`."""

    def __init__(self, folder: Path) -> None:
        self.environment = Environment(
            loader=FileSystemLoader([folder, KIT_TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters.update(
            euros=euros, date_fr=date_fr, datetime_fr=datetime_fr, time_fr=time_fr, number=number
        )

    def render(
        self,
        request: Request,
        name: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        as_of: datetime | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """Return the page. `as_of` is when its data was current; by default, now.

        Templates also find `caller` (or None), `links` (the navigation), `here` (the path) and `zone`.
        """
        caller = caller_of(request)
        state = request.app.state
        content = self.environment.get_template(name).render(
            caller=caller,
            links=[link for link in state.links if caller and caller.has(link.scope)],
            here=request.url.path,
            zone=state.zone,
            as_of=as_of or utc_now(),
            **context,
        )
        return HTMLResponse(content, status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})


def templates(service_folder: Path) -> Pages:
    """Return the pages of a service, from `templates/` in its folder."""
    return Pages(service_folder / "templates")


def euros(cents: int) -> str:
    """Write an amount: 123450 -> « 1 234,50 € », with no-break spaces."""
    whole, rest = divmod(abs(cents), 100)
    return f"{MINUS if cents < 0 else ''}{whole:,}".replace(",", NARROW_SPACE) + f",{rest:02d}{SPACE}€"


def number(value: float | Decimal, decimals: int = 0) -> str:
    """Write a number: 1234.5 -> « 1 234,5 » with one decimal."""
    text = f"{value:,.{decimals}f}".replace("-", MINUS)
    return text.replace(",", NARROW_SPACE).replace(".", ",")


@pass_context
def date_fr(context: Context, value: date | datetime | str) -> str:
    """Write a day: « mar. 24 nov. 2026 ». An instant is shown in the city's zone; text is an ISO date."""
    if isinstance(value, str):
        value = date.fromisoformat(value)
    if isinstance(value, datetime):
        value = _local(context, value)
    day = "1er" if value.day == 1 else str(value.day)
    return SPACE.join((_DAYS[value.weekday()], day, _MONTHS[value.month - 1], str(value.year)))


@pass_context
def time_fr(context: Context, value: datetime | time | str, *, seconds: bool = False) -> str:
    """Write a time of day: « 8 h 30 », or « 08:30:05 » with seconds. An instant is shown in the city's zone."""
    if isinstance(value, str):
        value = time.fromisoformat(value)
    if isinstance(value, datetime):
        value = _local(context, value)
    if seconds:
        return f"{value:%H:%M:%S}"
    return f"{value.hour}{SPACE}h{SPACE}{value.minute:02d}" if value.minute else f"{value.hour}{SPACE}h"


@pass_context
def datetime_fr(context: Context, value: datetime) -> Markup:
    """Write an instant: « mar. 24 nov. 2026 à 8 h 30 », in the city's zone, in a `<time>` element."""
    machine = value.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{} à {}</time>').format(
        machine, date_fr(context, value), time_fr(context, value)
    )


def _local(context: Context, value: datetime) -> datetime:
    zone: ZoneInfo = context["zone"]
    return value.astimezone(zone)


_kit_pages = Pages(KIT_TEMPLATES)


def render_kit_page(request: Request, name: str, **context: Any) -> HTMLResponse:
    """Return one of the kit's own pages."""
    return _kit_pages.render(request, name, **context)


def error_page(request: Request, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return a problem as a page in French."""
    return render_kit_page(request, "erreur.html", status=problem["status"], headers=headers, problem=problem)
