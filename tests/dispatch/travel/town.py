"""A town that a test makes itself: a square of streets 100 m apart, an island, and ways that not every bike passes.

                     |
-- steps -- (0,4) ... (4,4)     to the north of (4,4) a path of 60 cm; spurs are 400 m long
              .         .
-- path --- (0,0) ==> (4,0)     the southern street is one-way to the east; an island lies 3 km east of it
"""

from collections.abc import Sequence
from pathlib import Path

from services.dispatch.travel import Point

WEST, SOUTH = -1.5600, 47.2100
EAST_STEP, NORTH_STEP = 0.00132, 0.0009
"""A hundred metres either way."""
SIZE = 5
BOUNDS = (-1.567, 47.209, -1.51, 47.218)


def corner(column: float, row: float) -> Point:
    """Return a crossing, or a point between crossings."""
    return round(WEST + column * EAST_STEP, 6), round(SOUTH + row * NORTH_STEP, 6)


ISLAND = [corner(34, 0), corner(34, 3)]
UP_THE_STEPS, THROUGH_THE_GAP, ALONG_THE_PATH = corner(-4, 4), corner(4, 8), corner(-4, 0)


def write_town(file: Path, *, bridge: bool = False, closed_rows: Sequence[int] = ()) -> Path:
    """Write the town as OpenStreetMap's text form: with a bridge to the island, or without some of its streets."""
    nodes: dict[Point, int] = {}
    ways: list[str] = []

    def way(points: list[Point], **tags: str) -> None:
        refs = "".join(f'<nd ref="{nodes.setdefault(point, len(nodes) + 1)}"/>' for point in points)
        ways.append(
            f'<way id="{len(ways) + 1}" version="1">{refs}'
            + "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())
            + "</way>"
        )

    for column in range(SIZE):
        way([corner(column, row) for row in range(SIZE)], highway="residential", name=f"Rue {column}")
    for row in range(SIZE):
        if row not in closed_rows:
            one_way = {"oneway": "yes"} if row == 0 else {}
            way([corner(column, row) for column in range(SIZE)], highway="residential", **one_way)
    way([corner(0, 4), corner(-2, 4), UP_THE_STEPS], highway="steps")
    way([corner(4, 4), corner(4, 6), THROUGH_THE_GAP], highway="path", width="0.6")
    way([corner(0, 0), corner(-2, 0), ALONG_THE_PATH], highway="path")
    way([corner(34, row) for row in range(4)], highway="residential")
    if bridge:
        way([corner(4, 0), corner(34, 0)], highway="cycleway", bridge="yes")
    lines = [f'<node id="{id_}" version="1" lat="{at[1]}" lon="{at[0]}"/>' for at, id_ in nodes.items()]
    file.write_text("\n".join(['<?xml version="1.0"?>', '<osm version="0.6">', *lines, *ways, "</osm>\n"]))
    return file
