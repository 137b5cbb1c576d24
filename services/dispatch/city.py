"""A city's own streets: an OpenStreetMap extract becomes one file of vector tiles; the only file that knows pyogrio.

The data derives from OpenStreetMap (Open Database License 1.0): whoever shows it shows `ATTRIBUTION`.
"""

import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
from numpy.typing import NDArray

from services.kit.errors import DomainError

ATTRIBUTION = "© OpenStreetMap contributors"
LAYER = "city"
"""The one layer of the tiles; its features have a `kind`, see `LOOKS`."""

LOWEST_ZOOM, HIGHEST_ZOOM = 10, 14
"""Closer than this the browser enlarges: a tile of zoom 14 is true to 60 cm."""

_ROADS = {
    "major": (
        "motorway",
        "trunk",
        "primary",
        "secondary",
        "motorway_link",
        "trunk_link",
        "primary_link",
        "secondary_link",
    ),
    "street": ("tertiary", "tertiary_link", "unclassified", "residential", "living_street", "road"),
    "minor": ("service", "pedestrian", "busway", "bus_guideway", "track"),
    "cycleway": ("cycleway",),
    "path": ("path", "footway", "steps", "bridleway"),
}
_LINES = {
    "highway": {value: kind for kind, values in _ROADS.items() for value in values},
    "railway": dict.fromkeys(("rail", "tram", "light_rail", "subway"), "rail"),
    "waterway": dict.fromkeys(("river", "canal", "stream"), "river"),
}
_GREEN_LAND = ("forest", "grass", "meadow", "cemetery", "recreation_ground", "village_green", "allotments")
_AREAS = {
    "natural": {"water": "water", "bay": "water", **dict.fromkeys(("wood", "scrub", "grassland", "heath"), "green")},
    "landuse": {"reservoir": "water", "basin": "water", **dict.fromkeys(_GREEN_LAND, "green")},
    "leisure": dict.fromkeys(("park", "garden", "pitch", "playground", "nature_reserve", "golf_course"), "green"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind is drawn: an area, or a line with its width in pixels at zoom 11 and at zoom 18."""

    kind: str
    colour: str
    widths: tuple[float, float] | None = None
    from_zoom: int = LOWEST_ZOOM


GROUND = "#e7e9e3"
LOOKS = (
    Look("green", "#d3e5c6"),
    Look("water", "#c3dcec"),
    Look("river", "#c3dcec", (1, 12)),
    Look("path", "#d0c5b2", (0.4, 3), 14),
    Look("minor", "#ffffff", (0.4, 8), 13),
    Look("cycleway", "#9cc7a5", (0.6, 4), 12),
    Look("street", "#ffffff", (0.8, 16)),
    Look("rail", "#c9ccd1", (0.5, 2.5), 12),
    Look("major", "#ffe6a8", (1.4, 20)),
)
"""Every kind on the map, in the order in which it is drawn: routes and markers must stand out on all of them."""


class UnreadableExtract(DomainError):
    """The file is missing, cut short, or no OpenStreetMap extract."""

    code = "unreadable-extract"
    title = "Extrait OpenStreetMap illisible"


class ExtractWithoutStreets(DomainError):
    """The extract can be read and has no street."""

    code = "extract-without-streets"
    title = "Extrait sans rues"


class NoStreets(DomainError):
    """No extract was imported yet."""

    code = "no-streets"
    title = "Rues non importées"


@dataclass(frozen=True, slots=True)
class CityMap:
    """What was imported; bounds are west, south, east, north in WGS 84 degrees."""

    streets: int
    others: int
    bounds: tuple[float, float, float, float]
    bytes: int


def streets_file(data_dir: Path) -> Path:
    """Return where the service's vector tiles are once an extract was imported."""
    return data_dir / "streets.pmtiles"


def style(data_dir: Path, tiles_url: str) -> dict[str, object]:
    """Return how a map is drawn (MapLibre style, version 8): plain ground, and the streets once they were imported."""
    ground = {"id": "ground", "type": "background", "paint": {"background-color": GROUND}}
    if not streets_file(data_dir).is_file():
        return {"version": 8, "sources": {}, "layers": [ground]}
    source = {"type": "vector", "url": f"pmtiles://{tiles_url}", "attribution": ATTRIBUTION}
    return {"version": 8, "sources": {LAYER: source}, "layers": [ground, *(_layer(look) for look in LOOKS)]}


def _layer(look: Look) -> dict[str, object]:
    layer = {"id": look.kind, "source": LAYER, "source-layer": LAYER, "minzoom": look.from_zoom}
    layer |= {"filter": ["==", ["get", "kind"], look.kind]}
    if not look.widths:
        return layer | {"type": "fill", "paint": {"fill-color": look.colour}}
    far, near = look.widths
    width = ["interpolate", ["exponential", 1.6], ["zoom"], 11, far, 18, near]
    layout = {"line-cap": "round", "line-join": "round"}
    return layer | {"type": "line", "layout": layout, "paint": {"line-color": look.colour, "line-width": width}}


def import_extract(
    path: Path, data_dir: Path, *, before_switch: Callable[[tuple[float, float, float, float]], object] | None = None
) -> CityMap:
    """Make the city's map from an OpenStreetMap extract (`.osm.pbf`), cut to the city, and switch to it in one step.

    The tiles are made and read back aside; until the switch, and when anything goes wrong, the map stays as it was.
    `before_switch` is called with the map's bounds when the tiles are proven: what it raises keeps the old map.
    Takes seconds and some hundred MB of memory for a large commune.

    Raises
    ------
    UnreadableExtract, ExtractWithoutStreets
        Nothing has changed.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".import-") as aside, _gdal(Path(aside)):
        line_kinds, lines = _read(path, "lines", _LINES)
        area_kinds, areas = _read(path, "multipolygons", _AREAS)
        streets = int(np.isin(line_kinds, tuple(_ROADS)).sum())
        if not streets:
            raise ExtractWithoutStreets(f"Choisissez un extrait qui contient des rues : {path.name} n'en a aucune.")
        tiles = Path(aside) / "streets.pmtiles"
        kinds = np.concatenate([area_kinds, line_kinds])
        pyogrio.raw.write(
            tiles,
            np.concatenate([areas, lines]),
            [kinds],
            np.array(["kind"], dtype=object),
            layer=LAYER,
            driver="PMTiles",
            geometry_type="Unknown",
            crs="EPSG:4326",
            dataset_options={"NAME": "city", "MINZOOM": str(LOWEST_ZOOM), "MAXZOOM": str(HIGHEST_ZOOM)},
        )
        bounds = _try_out(tiles)
        size = tiles.stat().st_size
        if before_switch:
            before_switch(bounds)
        tiles.replace(streets_file(data_dir))
    return CityMap(streets, len(kinds) - streets, bounds, size)


def _read(
    path: Path, layer: str, wanted: Mapping[str, Mapping[str, str]]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return the kind and the WKB geometry of every feature of the layer that is to be on the map."""
    where = " OR ".join(f'"{key}" IS NOT NULL' for key in wanted)
    try:
        meta, _, geometries, columns = pyogrio.raw.read(path, layer=layer, columns=list(wanted), where=where)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise UnreadableExtract(
            f"Le fichier {path.name} ne peut pas être lu comme extrait OpenStreetMap (.osm.pbf). Vérifiez son nom, "
            "téléchargez-le de nouveau s'il est incomplet."
        ) from error
    kinds = np.full(len(geometries), None, dtype=object)
    for key, values in zip(meta["fields"], columns, strict=True):
        found = np.array([wanted[key].get(value) for value in values], dtype=object)
        kinds = np.where(found == None, kinds, found)  # noqa: E711 - cell by cell
    shown = np.array(
        [kind is not None and geometry is not None for kind, geometry in zip(kinds, geometries, strict=True)],
        dtype=bool,
    )
    return kinds[shown], geometries[shown]


def _try_out(tiles: Path) -> tuple[float, float, float, float]:
    """Read the tiles back and return their bounds. Raises RuntimeError when they are not what they should be."""
    with tiles.open("rb") as file:
        magic, version, lowest, highest, *corners = struct.unpack("<7sB92xBB4i", file.read(118))
    found = pyogrio.read_info(tiles, layer=LAYER, force_feature_count=True)
    if (magic, version, lowest, highest) != (b"PMTiles", 3, LOWEST_ZOOM, HIGHEST_ZOOM) or not found["features"]:
        raise RuntimeError(f"the tiles that were written cannot be read back: {tiles}")
    west, south, east, north = (corner / 1e7 for corner in corners)
    return west, south, east, north


@contextmanager
def _gdal(aside: Path) -> Iterator[None]:
    """Keep GDAL's temporary files aside, and its remarks on every polygon that the extract cuts through to itself."""
    pyogrio.set_gdal_config_options({"CPL_TMPDIR": str(aside)})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        pyogrio.set_gdal_config_options({"CPL_TMPDIR": None})
