"""Problems and plans as plain JSON and back: our own file format, and the compact form sent between machines.

A document has the members of the dataclasses it stands for; what equals its default is left out. A point is meant by
its name (or its index), a time is whole seconds or a text like "08:30", "D+1 00:15", "D-1 22:00".
"""

import json
import re
import types
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from operator import index
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from services.dispatch.planning.plan import LeftOut, Plan, Route
from services.dispatch.planning.problem import Fault, FaultyProblem, Matrix, RoutingProblem, locks_out_of_hours
from services.kit.errors import DomainError, refuse_all

Document = dict[str, Any]
"""Dictionaries, lists, texts, whole numbers and None: what `json` writes."""

Position = tuple[float, float]
"""Longitude and latitude in WGS 84 degrees."""

Travel = Callable[[Sequence[Position]], tuple[ArrayLike, ArrayLike]]
"""Gives (n, n) whole seconds and metres of the rides between n positions."""

MATRICES = ("travel_seconds", "travel_metres")
POINTS = frozenset({"point", "start_point", "end_point"})
TIMES = frozenset(
    {
        "window_start_seconds",
        "window_end_seconds",
        "latest_seconds",
        "shift_start_seconds",
        "shift_end_seconds",
        "start_seconds",
        "end_seconds",
        "arrival_seconds",
        "departure_seconds",
    }
)
TOLD_WITH_A_PLAN = frozenset({"cost", "violations", "travel_is_estimated", "trace"})
"""Members of a written plan that follow from the others or tell how it was found."""

_NAMED = (
    ("requests", "demande", "id"),
    ("vehicles", "vacation", "id"),
    ("shares", "coopérative", "group"),
    ("shares", "part de", "group"),
)
"""How the sentence of a fault of content names what it is about: list, word before the name, whose name that is."""

_CLOCK = re.compile(r"(?:D([+-]\d{1,3}) )?(?:([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?|(24):(00))")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class UnreadableDocument(DomainError):
    """Something in a document has not the shape it should have; `pointer` says where."""

    code = "unreadable-document"
    title = "Fichier de planification illisible"


def parse(text: str) -> object:
    """Return what a JSON text says; a member given twice is told with the other faults, by who reads it.

    Raises UnreadableDocument.
    """
    try:
        return json.loads(text, object_pairs_hook=_object_of)
    except json.JSONDecodeError as error:
        raise UnreadableDocument(
            f"Ligne {error.lineno}, colonne {error.colno} : ce n'est pas du JSON. Corrigez le fichier.", pointer=""
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableDocument(
            "Un nombre est trop long ou des listes sont trop imbriquées. Corrigez le fichier.", pointer=""
        ) from error


def to_document(problem: RoutingProblem) -> Document:
    """Return the problem as a document, matrices as lists of rows."""
    return {
        **_without_matrices(problem),
        "travel_seconds": problem.travel_seconds.tolist(),
        "travel_metres": problem.travel_metres.tolist(),
    }


def from_document(document: object, travel: Travel | None = None) -> RoutingProblem:
    """Return the problem that a document stands for.

    A matrix may be left out where every point has `lon` and `lat` and `travel` is given.

    Raises
    ------
    UnreadableDocument
        Where its shape is wrong: a member that is missing, unknown or given twice, another type, an unknown point.
        Several are raised together as `Refusals`.
    FaultyProblem
        Where the shape is right and the contents are not, also where a shift leaves no time for what is locked to it:
        with each `Fault`, the place of what it is about.
    """
    reader = _Reader()
    given = reader.members(document, "", {field.name for field in fields(RoutingProblem)})
    reader.read_points(given.get("points"), "/points")
    values: dict[str, Any] = {"points": tuple(reader.names)}
    for field in fields(RoutingProblem):
        if field.name in MATRICES:
            values[field.name] = reader.read_matrix(given.get(field.name), travel is not None, f"/{field.name}")
        elif field.name != "points":
            reader.read_member(RoutingProblem, field.name, given, "", values)
    refuse_all(reader.faults)
    if travel and reader.positions is not None and any(values[name] is None for name in MATRICES):
        estimated = dict(zip(MATRICES, travel(reader.positions), strict=True))
        values.update({name: estimated[name] for name in MATRICES if values[name] is None})
    try:
        return _keeping_its_locks(RoutingProblem(**values))
    except FaultyProblem as refused:
        places = _places(values)
        raise FaultyProblem([_placed(fault, places) for fault in refused.errors]) from refused


def _keeping_its_locks(problem: RoutingProblem) -> RoutingProblem:
    if faults := [*locks_out_of_hours(problem)]:
        raise FaultyProblem(faults)
    return problem


def positions(document: Mapping[str, Any]) -> list[Position] | None:
    """Return where the points of a readable document are, None where one has no position."""
    points = document["points"]
    if not points or not all(isinstance(point, dict) and "lon" in point for point in points):
        return None
    return [(float(point["lon"]), float(point["lat"])) for point in points]


def plan_document(problem: RoutingProblem, plan: Plan) -> Document:
    """Return the plan as a document: `routes` and `left_out`."""
    return {
        "routes": [_plain(route, problem.points) for route in plan.routes],
        "left_out": [_plain(item, problem.points) for item in plan.left_out],
    }


def plan_from_document(problem: RoutingProblem, document: object) -> Plan:
    """Return the plan of this problem that a document stands for; nothing is judged here.

    Raises UnreadableDocument, or `Refusals` with several.
    """
    reader = _Reader()
    reader.names = {name: number for number, name in enumerate(problem.points)}
    given = reader.members(document, "", {"routes", "left_out", *TOLD_WITH_A_PLAN})
    routes = reader.read(tuple[Route, ...], given.get("routes"), "/routes")
    left_out = reader.read(tuple[LeftOut, ...], given.get("left_out"), "/left_out")
    refuse_all(reader.faults)
    return Plan(routes, left_out)


def pack(problem: RoutingProblem) -> bytes:
    """Return the problem in few bytes: zlib over the document's length and text, then both matrices row by row."""
    matrices = [getattr(problem, name) for name in MATRICES]
    kinds = [np.min_scalar_type(int(matrix.max(initial=0))).newbyteorder("<") for matrix in matrices]
    text = json.dumps({**_without_matrices(problem), "kinds": [kind.str for kind in kinds]}).encode()
    cells = [matrix.astype(kind).tobytes() for matrix, kind in zip(matrices, kinds, strict=True)]
    return zlib.compress(b"".join([len(text).to_bytes(4, "little"), text, *cells]), level=1)


def unpack(packed: bytes) -> RoutingProblem:
    """Return the problem that `pack` made these bytes of. Raises UnreadableDocument, FaultyProblem."""
    try:
        whole = memoryview(zlib.decompress(packed))
        at = 4 + int.from_bytes(whole[:4], "little")
        document = json.loads(bytes(whole[4:at]))
        size = len(document["points"])
        for name, kind in zip(MATRICES, document.pop("kinds"), strict=True):
            cells = np.frombuffer(whole, np.dtype(kind), size * size, at)
            document[name] = cells.reshape(size, size).astype(np.int64)
            at += cells.nbytes
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableDocument("Ce n'est pas un problème de planification compacté.", pointer="") from error
    return from_document(document)


# -- writing -----------------------------------------------------------------------------------------------------------


def _without_matrices(problem: RoutingProblem) -> Document:
    document: Document = {"points": list(problem.points)}
    for field in fields(problem):
        value = getattr(problem, field.name)
        if field.name != "points" and field.name not in MATRICES and value != field.default:
            document[field.name] = _plain(value, problem.points)
    return document


def _plain(value: Any, points: Sequence[str]) -> Any:
    if is_dataclass(value):
        return {
            field.name: points[given] if field.name in POINTS else _plain(given, points)
            for field in fields(value)
            if (given := getattr(value, field.name)) != field.default
        }
    if hasattr(value, "_asdict"):
        return {name: _plain(given, points) for name, given in value._asdict().items()}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item, points) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value if value is None or isinstance(value, str) else index(value)


# -- reading -----------------------------------------------------------------------------------------------------------


class _Repeating(Document):
    """An object in which members are given twice; it has the last of each."""

    twice: tuple[str, ...]


def _object_of(pairs: list[tuple[str, Any]]) -> Document:
    if len(found := dict(pairs)) == len(pairs):
        return found
    repeating = _Repeating(found)
    repeating.twice = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return repeating


def _pointer(at: str, name: str) -> str:
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def _places(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the pointer of all that a fault of content may be about, by the fault's item or its sentence's words.

    The words are for what has its id from the file: a request and a vehicle may have the same.
    """
    places = {name: f"/{name}" for name in (*MATRICES, "prices", "shares", "hub_limits")}
    for name, word, known_by in _NAMED:
        for number, one in enumerate(values.get(name, ())):
            places[f"{word} « {getattr(one, known_by)} »"] = f"/{name}/{number}"
    for number in range(len(values.get("fleet_limits", ()))):
        places[f"fleet limit {number}"] = f"/fleet_limits/{number}"
    for number, hub in enumerate(values.get("hub_limits", ())):
        places[f"hub {hub.point}"] = f"/hub_limits/{number}"
    return places


def _placed(fault: DomainError, places: Mapping[str, str]) -> Fault:
    assert isinstance(fault, Fault)
    words = (f"{word} « {fault.item} »" for _, word, _ in _NAMED)
    at = places.get(next((said for said in words if said in fault.detail), fault.item), "")
    placed = Fault(fault.kind, fault.item, _told(at, fault.detail))
    placed.pointer = at
    return placed


def _told(at: str, says: str) -> str:
    return f"{at or 'Le fichier'} : {says}"


class _Member(NamedTuple):
    kind: Any
    is_required: bool


@cache
def _members(kind: Any) -> dict[str, _Member]:
    """Return the type of each member of a dataclass or a named tuple, and whether it must be given."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        needed = {field.name for field in fields(kind) if field.default is MISSING}
    else:
        needed = set(kind._fields) - kind._field_defaults.keys()
    return {name: _Member(hint, name in needed) for name, hint in hints.items()}


class _Reader:
    """Reads values of the types that problems and plans are made of, and notes all that is wrong with their shape."""

    def __init__(self) -> None:
        self.faults: list[DomainError] = []
        self.names: dict[str, int] = {}
        self.knows_points = True  # else a name that is not among them may be one of the faulty ones
        self.positions: list[Position] | None = []

    def fault(self, at: str, says: str) -> Any:
        """Note what is wrong at a pointer; return None, what is read there."""
        self.faults.append(UnreadableDocument(_told(at, says), pointer=at))

    def members(self, value: object, at: str, known: set[str]) -> Document:
        """Return an object's members that are known; the others are faults."""
        if not isinstance(value, dict):
            self.fault(at, "un objet est attendu.")
            return {}
        for name in value.twice if isinstance(value, _Repeating) else ():
            self.fault(_pointer(at, name), "ce membre est donné deux fois.")
        for name in (name for name in value if name not in known):
            close = get_close_matches(name, known, 1)
            hint = f"vouliez-vous dire « {close[0]} » ?" if close else "retirez-le."
            self.fault(_pointer(at, name), f"ce membre est inconnu, {hint}")
        return {name: given for name, given in value.items() if name in known}

    def read_member(self, owner: Any, name: str, given: Document, at: str, values: dict[str, Any]) -> None:
        """Put the value of a member into `values`, unless its default serves."""
        kind, is_required = _members(owner)[name]
        if name not in given:
            if is_required:
                self.fault(f"{at}/{name}", "ce membre manque.")
        elif name in POINTS:
            values[name] = self._point(given[name], f"{at}/{name}")
        elif name in TIMES and isinstance(given[name], str):
            values[name] = self._clock(given[name], f"{at}/{name}")
        else:
            values[name] = self.read(kind, given[name], f"{at}/{name}")

    def read(self, kind: Any, value: object, at: str) -> Any:
        """Return the value as that type; None after a fault."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is types.UnionType:
            (other,) = (argument for argument in arguments if argument is not types.NoneType)
            return None if value is None else self.read(other, value, at)
        if origin in (tuple, frozenset):
            if not isinstance(value, list):
                return self.fault(at, "une liste est attendue.")
            return origin(self.read(arguments[0], item, f"{at}/{number}") for number, item in enumerate(value))
        if kind is int:
            return self._whole(value, at)
        if kind is str:
            return self._text(value, at)
        if issubclass(kind, StrEnum):
            if isinstance(value, str) and value in list(kind):
                return kind(value)
            return self.fault(at, f"une de ces valeurs est attendue : {', '.join(kind)}.")
        return self._object(kind, value, at)

    def _object(self, kind: Any, value: object, at: str) -> Any:
        known = _members(kind)
        before = len(self.faults)
        given = self.members(value, at, set(known))
        values: dict[str, Any] = {}
        if isinstance(value, dict):
            for name in known:
                self.read_member(kind, name, given, at, values)
        return kind(**values) if len(self.faults) == before else None

    def read_points(self, value: object, at: str) -> None:
        """Note the points' names and, where all have one, their positions."""
        before = len(self.faults)
        if not isinstance(value, list):
            self.fault(at, "une liste de points est attendue.")
            self.knows_points = False
            return
        for number, point in enumerate(value):
            where = f"{at}/{number}"
            name = point
            if isinstance(point, dict):
                given = self.members(point, where, {"id", "lon", "lat"})
                name = given.get("id")
                self._position(given, where)
            else:
                self.positions = None
            name = self._text(name, f"{where}/id" if isinstance(point, dict) else where)
            if name in self.names:
                self.fault(where, f"le point « {name} » est donné deux fois.")
            elif name is not None:
                self.names[name] = number
        self.knows_points = len(self.faults) == before

    def _position(self, given: Document, at: str) -> None:
        if "lon" not in given and "lat" not in given:
            self.positions = None
            return
        found = []
        for name, most in (("lon", 180), ("lat", 90)):
            degrees = given.get(name)
            if isinstance(degrees, int | float) and not isinstance(degrees, bool) and -most <= degrees <= most:
                found.append(float(degrees))
            else:
                self.fault(f"{at}/{name}", f"des degrés de -{most} à {most} sont attendus.")
        if len(found) == 2 and self.positions is not None:
            self.positions.append((found[0], found[1]))

    def read_matrix(self, value: object, may_be_estimated: bool, at: str) -> Matrix | None:
        """Return a matrix of whole numbers, None where it has to be estimated; the problem says if it is square."""
        if value is None:
            if self.positions is None or not may_be_estimated:
                self.fault(at, "donnez la matrice, ou « lon » et « lat » de chaque point.")
            return None
        if isinstance(value, np.ndarray):
            return value
        if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
            self.fault(at, "une liste de lignes est attendue.")
            return None
        width = len(value[0]) if value else 0
        sound = True
        for number, row in enumerate(value):
            if len(row) != width:
                self.fault(f"{at}/{number}", f"cette ligne a {len(row)} nombres, la première {width}.")
                sound = False
            elif set(map(type, row)) - {int} or (row and (max(row) >= 2**63 or min(row) < -(2**63))):
                self.fault(f"{at}/{number}", "des nombres entiers (64 bits) sont attendus.")
                sound = False
        return np.array(value, dtype=np.int64).reshape(len(value), width) if sound else None

    def _point(self, value: object, at: str) -> int | None:
        if not isinstance(value, str):
            return self._whole(value, at)
        if value not in self.names and self.knows_points:
            self.fault(at, f"le point « {value} » n'est pas dans « points ».")
        return self.names.get(value)

    def _clock(self, value: str, at: str) -> int | None:
        found = _CLOCK.fullmatch(value)
        if not found:
            self.fault(at, "des secondes ou une heure comme « 08:30 » ou « D+1 00:15 » sont attendues.")
            return None
        days, hours, minutes, seconds, midnight, _ = (int(part or 0) for part in found.groups())
        return days * 86_400 + (hours + midnight) * 3_600 + minutes * 60 + seconds

    def _whole(self, value: object, at: str) -> int | None:
        if type(value) is int and -(2**63) <= value < 2**63:
            return value
        self.fault(at, "un nombre entier (64 bits) est attendu.")
        return None

    def _text(self, value: object, at: str) -> str | None:
        if isinstance(value, str) and not _UNPRINTABLE.search(value):
            return value
        self.fault(at, "un texte sans caractère de contrôle est attendu.")
        return None
