"""The calendar of a department: a month or a week of legs, for all sites or one."""

import re
from collections import defaultdict
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.kit.http.edge import Now, ReadView
from services.orders import queries
from services.orders.domain.plain_french import MONTHS, say_date
from services.orders.domain.working_day import holiday_name
from services.orders.pages.edge import Reader, pages
from services.orders.use_cases.access import department_of

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Query(max_length=40)]


@router.get("/calendrier")
def show(
    request: Request, caller: Reader, view: ReadView, now: Now, mois: Text = "", semaine: Text = "", site: Text = ""
) -> Response:
    """Show a month, or a week, of legs."""
    today = now.astimezone(request.app.state.zone).date()
    week = _week_of(semaine)
    month = _month_of(mois) or (week or today).replace(day=1)
    if week is not None:
        first, last = week, week + timedelta(days=6)
        before, after = _week_name(week - timedelta(days=7)), _week_name(week + timedelta(days=7))
        heading = f"Semaine du {say_date(first)}"
    else:
        first = month - timedelta(days=month.weekday())
        end = _next_month(month) - timedelta(days=1)
        last = end + timedelta(days=6 - end.weekday())
        before, after = f"{month - timedelta(days=1):%Y-%m}", f"{_next_month(month):%Y-%m}"
        heading = f"{MONTHS[month.month - 1].capitalize()} {month.year}"
    department_id = department_of(caller)
    entries = defaultdict(list)
    for entry in queries.calendar(view, department_id, first, last, site_id=site or None):
        entries[entry.day].append(entry)
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return pages.render(
        request,
        "calendrier.html",
        heading=heading,
        is_week=week is not None,
        weeks=[days[index : index + 7] for index in range(0, len(days), 7)],
        month=month,
        this_month=f"{month:%Y-%m}",
        this_week=_week_name(week or (today if (today.year, today.month) == (month.year, month.month) else month)),
        present=_week_name(today) if week is not None else f"{today:%Y-%m}",
        before=before,
        after=after,
        today=today,
        entries=entries,
        holidays={day: name for day in days if (name := holiday_name(day, alsace_moselle=False))},
        site=site,
        sites=queries.list_sites(view, department_id),
    )


def _month_of(text: str) -> date | None:
    found = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text, re.ASCII)
    return date(int(found[1]), int(found[2]), 1) if found else None


def _week_of(text: str) -> date | None:
    found = re.fullmatch(r"(20\d\d)-W([0-4]\d|5[0-3])", text, re.ASCII)
    if found is None:
        return None
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError:
        return None


def _week_name(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
