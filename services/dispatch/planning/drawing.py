"""A plan as a picture: SVG with nothing from outside, on the plane where positions are known, else along the hours."""

import colorsys
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from services.dispatch.planning.plan import Plan, Route
from services.dispatch.planning.problem import RoutingProblem, StopKind

WIDTH, HEIGHT, MARGIN, PANEL = 1280, 880, 28, 300
MOST_LISTED = 34
"""Routes that the panel names one by one."""

GOLDEN_ANGLE = 0.381966
"""Of a turn: hues that far apart stay apart however many there are."""

STYLE = (
    "text{font-family:system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:12px;fill:#334155}"
    ".title{font-size:21px;font-weight:600;fill:#0f172a}.figure{font-size:14px;fill:#0f172a}.soft{fill:#64748b}"
    ".small{font-size:10px;fill:#64748b}.ride{fill:none;stroke-linejoin:round;stroke-linecap:round}"
)

Position = tuple[float, float]


class Progress(NamedTuple):
    """A better plan: when it was found, how many vehicles it uses, what it costs."""

    seconds: float
    vehicles: int
    cost: float


def plane(positions: Sequence[Position]) -> list[Position]:
    """Return longitudes and latitudes as positions on a plane that keeps the shape of a city."""
    middle = sum(latitude for _, latitude in positions) / max(1, len(positions))
    return [(longitude * math.cos(math.radians(middle)), latitude) for longitude, latitude in positions]


def kilometres(plan: Plan) -> str:
    """Return what is ridden in a plan, in words."""
    return f"{plan.travel_metres / 1000:.1f} km"


def draw(
    problem: RoutingProblem,
    plan: Plan,
    positions: Sequence[Position] | None,
    progress: Sequence[Progress] = (),
    *,
    title: str = "Plan",
    ridden: Callable[[Plan], str] = kilometres,
) -> str:
    """Return the plan as SVG.

    `positions` are the points' places on a plane, x to the right and y upwards; without them each route is a line of
    hours. `ridden` tells what is ridden in a plan.
    """
    colours = _colours(plan, positions)
    body = _map(problem, plan, positions, colours) if positions else _hours(plan, colours)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{_text(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{WIDTH - PANEL - 3 * MARGIN}" height="{HEIGHT - 2 * MARGIN}" rx="10" '
        'fill="#f8fafc" stroke="#e2e8f0"/>',
        *body,
        *_panel(problem, plan, progress, colours, title, ridden),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


# -- on the plane ------------------------------------------------------------------------------------------------------


def _map(problem: RoutingProblem, plan: Plan, positions: Sequence[Position], colours: Sequence[str]) -> list[str]:
    place = _fitted(positions)
    radius = max(2.0, min(4.5, 70 / math.sqrt(len(positions) + 1)))
    parts = []
    for route, colour in zip(plan.routes, colours, strict=True):
        vehicle = problem.vehicles_by_id[route.vehicle_id]
        places = [place(positions[visit.point]) for visit in route.visits]
        start, end = place(positions[vehicle.start_point]), place(positions[vehicle.end_point])
        parts += [
            f"<g><title>{_text(route.vehicle_id)} : {_stops(route)}</title>",
            f'<path d="{_line([start, places[0]])}{_line([places[-1], end])}" class="ride" stroke="{colour}" '
            'stroke-width="1.1" opacity="0.45" stroke-dasharray="5 4"/>',
            f'<path d="{_line(places)}" class="ride" stroke="{colour}" stroke-width="1.7" opacity="0.9"/>',
        ]
        for visit, (x, y) in zip(route.visits, places, strict=True):
            fill = colour if visit.kind is StopKind.PICKUP else "#ffffff"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" stroke="{colour}" '
                f'stroke-width="1.5"/>'
            )
        parts.append("</g>")
    for item in plan.left_out:
        request = problem.requests_by_id[item.request_id]
        places = [place(positions[stop.point]) for _, _, stop in request.stops]
        crosses = "".join(_cross(x, y, radius + 0.5) for x, y in places)
        parts.append(
            f"<g><title>{_text(item.request_id)} : {_text(item.sentence or 'laissée de côté')}</title>"
            f'<path d="{_line(places)}" class="ride" stroke="#94a3b8" stroke-dasharray="2 4"/>'
            f'<path d="{crosses}" stroke="#475569" stroke-width="1.8" class="ride"/></g>'
        )
    homes = {point for vehicle in problem.vehicles for point in (vehicle.start_point, vehicle.end_point)}
    for x, y in (place(positions[point]) for point in sorted(homes)):
        parts.append(_home(x, y))
    return parts


def _fitted(positions: Sequence[Position]) -> Callable[[Position], Position]:
    """Return what carries a position into the frame, the same scale both ways."""
    left, right = min(x for x, _ in positions), max(x for x, _ in positions)
    low, high = min(y for _, y in positions), max(y for _, y in positions)
    inset = MARGIN + 24
    wide, tall = WIDTH - PANEL - MARGIN - 2 * inset, HEIGHT - 2 * inset
    scale = min(wide / max(right - left, 1e-9), tall / max(high - low, 1e-9))
    x_from = inset + (wide - scale * (right - left)) / 2
    y_from = inset + (tall - scale * (high - low)) / 2
    return lambda position: (x_from + scale * (position[0] - left), y_from + scale * (high - position[1]))


def _line(places: Sequence[Position]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _cross(x: float, y: float, size: float) -> str:
    return _line([(x - size, y - size), (x + size, y + size)]) + _line([(x - size, y + size), (x + size, y - size)])


def _home(x: float, y: float) -> str:
    return (
        f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" rx="2" fill="#0f172a" stroke="#ffffff" '
        'stroke-width="2"/>'
    )


# -- along the hours ---------------------------------------------------------------------------------------------------


def _hours(plan: Plan, colours: Sequence[str]) -> list[str]:
    ends = [[route.end_seconds, *(rest.end_seconds for rest in route.breaks)] for route in plan.routes]
    first = min((route.start_seconds for route in plan.routes), default=0)
    last = max((max(each) for each in ends), default=0)
    last = max(last, first + 8)
    left, top = MARGIN + 110, MARGIN + 44
    wide = WIDTH - PANEL - 2 * MARGIN - left - 20
    step = min((HEIGHT - MARGIN - 44 - top) / max(1, len(plan.routes)), 44)

    def at(seconds: int) -> float:
        return left + wide * (seconds - first) / (last - first)

    parts = []
    tick = next((t for t in (900, 1800, 3600, 7200, 14400, 43200) if (last - first) / t <= 14), (last - first) // 8)
    for seconds in range(-(-first // tick) * tick, last + 1, tick):
        x = at(seconds)
        parts.append(
            f'<path d="M{x:.1f} {top - 12}V{top + step * len(plan.routes):.1f}" stroke="#e2e8f0"/>'
            f'<text x="{x:.1f}" y="{top - 18}" text-anchor="middle" class="small">{clock(seconds)}</text>'
        )
    for row, (route, colour) in enumerate(zip(plan.routes, colours, strict=True)):
        y, thick = top + step * (row + 0.5), min(18.0, step * 0.62)
        parts += [
            f"<g><title>{_text(route.vehicle_id)} : {_stops(route)}</title>",
            f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{_text(_short(route.vehicle_id, 15))}</text>'
            if step > 11
            else "",
            f'<path d="M{at(route.start_seconds):.1f} {y:.1f}H{at(route.end_seconds):.1f}" stroke="{colour}" '
            'stroke-width="2" opacity="0.6"/>',
        ]
        for rest in route.breaks:
            x = at(rest.start_seconds)
            parts.append(_bar(x, y, at(rest.end_seconds) - x, thick * 0.6, "#e2e8f0", "#94a3b8"))
        for visit in route.visits:
            x = at(visit.start_seconds)
            fill = colour if visit.kind is StopKind.PICKUP else "#ffffff"
            parts.append(_bar(x, y, max(3.0, at(visit.departure_seconds) - x), thick, fill, colour))
        parts.append("</g>")
    if plan.left_out:
        names = ", ".join(item.request_id for item in plan.left_out)
        parts.append(
            f'<path d="{_cross(left - 14, HEIGHT - MARGIN - 20, 4)}" stroke="#475569" stroke-width="1.8"/>'
            f'<text x="{left}" y="{HEIGHT - MARGIN - 16}" class="soft">{_text(_short(names, 110))}</text>'
        )
    return parts


def _bar(x: float, y: float, wide: float, thick: float, fill: str, stroke: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y - thick / 2:.1f}" width="{wide:.1f}" height="{thick:.1f}" rx="1.5" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="1.3"/>'
    )


# -- the panel ---------------------------------------------------------------------------------------------------------


def _panel(
    problem: RoutingProblem,
    plan: Plan,
    progress: Sequence[Progress],
    colours: Sequence[str],
    title: str,
    ridden: Callable[[Plan], str],
) -> list[str]:
    left, y = WIDTH - PANEL - MARGIN, MARGIN + 18
    served = len(problem.requests) - len(plan.left_out)
    figures = [
        (f"{len(plan.routes)}", f"sur {len(problem.vehicles)} vacations"),
        (f"{served}", f"sur {len(problem.requests)} demandes"),
        (f"{len(plan.left_out)}", "de côté"),
        (ridden(plan), "de trajet"),
    ]
    parts = [f'<text x="{left}" y="{y}" class="title">{_text(_short(title, 22))}</text>']
    for value, what in figures:
        y += 23
        parts.append(
            f'<text x="{left}" y="{y}" class="figure"><tspan font-weight="600">{_text(value)}</tspan> '
            f'<tspan class="soft">{what}</tspan></text>'
        )
    y += 26
    parts += _key(left, y)
    y += 36
    if len(progress) > 1:
        parts += _curve(progress, left, y, PANEL, 104)
        y += 134
    room = max(1, min(MOST_LISTED, (HEIGHT - MARGIN - y) // 15))
    shown = len(plan.routes) if len(plan.routes) <= room else room - 1
    for route, colour in zip(plan.routes[:shown], colours[:shown], strict=True):
        y += 15
        stops = f"{_stops(route)}, {ridden(Plan((route,), ()))}"
        parts.append(
            f'<rect x="{left}" y="{y - 9}" width="14" height="8" rx="2" fill="{colour}"/>'
            f'<text x="{left + 22}" y="{y}">{_text(_short(route.vehicle_id, 20))}</text>'
            f'<text x="{WIDTH - MARGIN}" y="{y}" text-anchor="end" class="soft">{_text(stops)}</text>'
        )
    if shown < len(plan.routes):
        parts.append(f'<text x="{left}" y="{y + 16}" class="soft">et {len(plan.routes) - shown} autres</text>')
    return parts


def _key(x: float, y: float) -> list[str]:
    """Explain the marks, two and two."""
    marks = [
        ('<circle cx="5" cy="-4" r="4" fill="#475569" stroke="#475569" stroke-width="1.5"/>', "enlèvement"),
        ('<circle cx="5" cy="-4" r="4" fill="#ffffff" stroke="#475569" stroke-width="1.5"/>', "dépôt"),
        ('<rect x="0" y="-9" width="10" height="10" rx="2" fill="#0f172a"/>', "base, départ ou arrivée"),
        (f'<path d="{_cross(5, -4, 4)}" stroke="#475569" stroke-width="1.8"/>', "laissée de côté"),
    ]
    return [
        f'<g transform="translate({x + 170 * (number % 2)} {y + 19 * (number // 2)})">{mark}'
        f'<text x="18" y="0" class="soft">{what}</text></g>'
        for number, (mark, what) in enumerate(marks)
    ]


def _curve(progress: Sequence[Progress], left: float, top: float, wide: float, tall: float) -> list[str]:
    """Draw the cost, and the vehicles behind it, of each better plan over the time it took."""
    last = max(progress[-1].seconds, 1e-3)
    parts = [
        f'<rect x="{left}" y="{top}" width="{wide}" height="{tall}" rx="6" fill="#f8fafc" stroke="#e2e8f0"/>',
    ]

    def steps(values: Sequence[float]) -> str:
        low, high = min(values), max(values)
        places = [
            (
                left + 8 + (wide - 16) * found.seconds / last,
                top + tall - 10 - (tall - 24) * (value - low) / (high - low or 1),
            )
            for found, value in zip(progress, values, strict=True)
        ]
        return _line(places[:1]) + "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:]) + f"H{left + wide - 8:.1f}"

    vehicles, costs = [float(found.vehicles) for found in progress], [found.cost for found in progress]
    parts += [
        f'<path d="{steps(vehicles)}" class="ride" stroke="#cbd5e1" stroke-width="1.6"/>',
        f'<path d="{steps(costs)}" class="ride" stroke="#2563eb" stroke-width="1.8"/>',
        f'<text x="{left}" y="{top + tall + 15}" class="small">'
        f'<tspan fill="#2563eb">coût {_figure(costs[0])} → {_figure(costs[-1])}</tspan>'
        f" · vacations {progress[0].vehicles} → {progress[-1].vehicles}</text>",
        f'<text x="{left + wide}" y="{top + tall + 15}" text-anchor="end" class="small">{last:.1f} s</text>',
    ]
    return parts


def clock(seconds: int) -> str:
    """Return a time of day; days other than the first are told by a sign and a number."""
    days, rest = divmod(seconds, 86_400)
    return f"{rest // 3600:02}:{rest // 60 % 60:02}" + (f" J{days:+}" if days else "")


def _colours(plan: Plan, positions: Sequence[Position] | None) -> list[str]:
    """Return a colour for each route; neighbours around the middle differ most."""
    order = list(range(len(plan.routes)))
    if positions:
        x_mean, y_mean = (sum(values) / len(positions) for values in zip(*positions, strict=True))

        def angle(index: int) -> float:
            points = [positions[visit.point] for visit in plan.routes[index].visits]
            return math.atan2(sum(y - y_mean for _, y in points), sum(x - x_mean for x, _ in points))

        order.sort(key=angle)
    colours = [""] * len(order)
    for number, index in enumerate(order):
        lightness = (0.42, 0.54, 0.34)[number % 3]
        red, green, blue = colorsys.hls_to_rgb((0.58 + number * GOLDEN_ANGLE) % 1, lightness, 0.72)
        colours[index] = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
    return colours


def _stops(route: Route) -> str:
    return f"{len(route.visits)} arrêt{'s' if len(route.visits) > 1 else ''}"


def _figure(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if abs(value) < 1e9 else f"{value:.3g}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(text: str) -> str:
    """Return a text as XML allows it."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text))
