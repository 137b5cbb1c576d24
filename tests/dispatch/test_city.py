"""An extract becomes the city's map in one step, or nothing changes and the file is named."""

from pathlib import Path

import pyogrio
import pytest

from services.dispatch.city import (
    ATTRIBUTION,
    LAYER,
    LOOKS,
    CityMap,
    ExtractWithoutStreets,
    UnreadableExtract,
    import_extract,
    streets_file,
    style,
)

NODES = """
  <node id="1" version="1" lat="47.2180" lon="-1.5540"/><node id="2" version="1" lat="47.2190" lon="-1.5530"/>
  <node id="3" version="1" lat="47.2190" lon="-1.5510"/><node id="4" version="1" lat="47.2175" lon="-1.5515"/>
"""
STREETS = """
  <way id="10" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="residential"/></way>
  <way id="11" version="1"><nd ref="2"/><nd ref="3"/><tag k="highway" v="cycleway"/></way>
  <way id="12" version="1"><nd ref="3"/><nd ref="4"/><tag k="highway" v="construction"/></way>
"""
SURROUNDINGS = """
  <way id="20" version="1"><nd ref="1"/><nd ref="4"/><tag k="waterway" v="river"/></way>
  <way id="21" version="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/>
    <tag k="leisure" v="park"/></way>
"""


def an_extract(folder: Path, *parts: str) -> Path:
    """A hamlet in OpenStreetMap's text form."""
    file = folder / "hamlet.osm"
    file.write_text('<?xml version="1.0"?>\n<osm version="0.6">' + "".join(parts) + "</osm>\n")
    return file


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_streets_and_surroundings_are_imported(tmp_path: Path, data_dir: Path) -> None:
    summary = import_extract(an_extract(tmp_path, NODES, STREETS, SURROUNDINGS), data_dir)
    assert (summary.streets, summary.others) == (2, 2)
    assert summary.bounds == pytest.approx((-1.5540, 47.2175, -1.5510, 47.2190), abs=1e-4)
    tiles = streets_file(data_dir)
    assert summary.bytes == tiles.stat().st_size
    _, _, _, (kinds,) = pyogrio.raw.read(tiles, layer=LAYER, columns=["kind"])
    assert set(kinds) == {"street", "cycleway", "river", "green"}
    assert [path.name for path in data_dir.iterdir()] == [tiles.name]


def test_every_kind_can_be_drawn(tmp_path: Path, data_dir: Path) -> None:
    assert style(data_dir, "/tiles")["sources"] == {}
    import_extract(an_extract(tmp_path, NODES, STREETS), data_dir)
    drawn = style(data_dir, "/tiles")
    assert drawn["sources"] == {LAYER: {"type": "vector", "url": "pmtiles:///tiles", "attribution": ATTRIBUTION}}
    layers = drawn["layers"]
    assert isinstance(layers, list)
    assert [layer["id"] for layer in layers] == ["ground", *(look.kind for look in LOOKS)]


@pytest.mark.parametrize("content", [b"", b"no map at all\n", b"\x00\x00\x00\x0d\x0a\x09OSMHeader\x18W"])
def test_what_is_no_extract_is_named_and_changes_nothing(tmp_path: Path, data_dir: Path, content: bytes) -> None:
    import_extract(an_extract(tmp_path, NODES, STREETS), data_dir)
    before = streets_file(data_dir).read_bytes()
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(content)
    with pytest.raises(UnreadableExtract, match=r"broken\.osm\.pbf"):
        import_extract(broken, data_dir)
    assert streets_file(data_dir).read_bytes() == before
    assert [path.name for path in data_dir.iterdir()] == [streets_file(data_dir).name]


def test_a_missing_file_a_folder_and_a_text_cut_short(tmp_path: Path, data_dir: Path) -> None:
    whole = an_extract(tmp_path, NODES, STREETS)
    cut = tmp_path / "cut.osm"
    cut.write_text(whole.read_text()[:-60])
    for path in (tmp_path / "none.osm.pbf", tmp_path, cut):
        with pytest.raises(UnreadableExtract):
            import_extract(path, data_dir)
    assert not streets_file(data_dir).exists()


def test_what_is_done_before_the_switch_may_keep_the_old_map(tmp_path: Path, data_dir: Path) -> None:
    told: list[tuple[float, float, float, float]] = []
    summary = import_extract(an_extract(tmp_path, NODES, STREETS), data_dir, before_switch=told.append)
    assert told == [summary.bounds]
    before = streets_file(data_dir).read_bytes()

    def fail(_: object) -> None:
        assert streets_file(data_dir).read_bytes() == before
        raise LookupError("travel times cannot be had")

    with pytest.raises(LookupError):
        import_extract(an_extract(tmp_path, NODES, STREETS, SURROUNDINGS), data_dir, before_switch=fail)
    assert streets_file(data_dir).read_bytes() == before
    assert [path.name for path in data_dir.iterdir()] == [streets_file(data_dir).name]


@pytest.mark.parametrize("parts", [[NODES], [NODES, SURROUNDINGS], []])
def test_an_extract_without_streets_is_refused(tmp_path: Path, data_dir: Path, parts: list[str]) -> None:
    with pytest.raises(ExtractWithoutStreets):
        import_extract(an_extract(tmp_path, *parts), data_dir)
    assert not streets_file(data_dir).exists()


def imported(shared_folder: Path, name: str, data_dir: Path) -> CityMap:
    return import_extract(shared_folder / "geo" / f"{name}.osm.pbf", data_dir)


def test_real_cities_follow_each_other(shared_folder: Path, data_dir: Path) -> None:
    nantes = imported(shared_folder, "nantes-centre-2014", data_dir)
    assert nantes.streets > 2_500
    west, south, east, north = nantes.bounds
    assert west == pytest.approx(-1.575, abs=0.01)
    assert south < 47.21 < north
    assert east < -1.5
    geneva = imported(shared_folder, "geneva", data_dir)
    assert geneva.bounds[0] == pytest.approx(6.098, abs=0.02)
    assert streets_file(data_dir).stat().st_size == geneva.bytes < 3_000_000


@pytest.mark.slow
def test_a_whole_commune(shared_folder: Path, data_dir: Path) -> None:
    toulouse = imported(shared_folder, "toulouse-network", data_dir)
    assert toulouse.streets == 52_928
    assert toulouse.bytes < 5_000_000


@pytest.mark.parametrize("keep", [0.02, 0.4, 0.999])
def test_a_download_that_broke_off_leaves_the_map_as_it_was(
    shared_folder: Path, tmp_path: Path, data_dir: Path, keep: float
) -> None:
    import_extract(an_extract(tmp_path, NODES, STREETS), data_dir)
    before = streets_file(data_dir).read_bytes()
    whole = (shared_folder / "geo" / "nantes-centre-2014.osm.pbf").read_bytes()
    part = tmp_path / "part.osm.pbf"
    part.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(UnreadableExtract):
        import_extract(part, data_dir)
    assert streets_file(data_dir).read_bytes() == before
