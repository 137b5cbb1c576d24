"""An extract becomes the network in force in one step, or nothing changes and one sentence says why."""

import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import pytest

from services import cli
from services.dispatch.city import streets_file
from services.dispatch.travel import network
from services.dispatch.travel.network import NetworkNotBuilt
from services.dispatch.travel.streets import import_network
from tests.dispatch.travel.town import BOUNDS, write_town


def content(data_dir: Path) -> dict[str, bytes]:
    """Return every file under a folder."""
    return {str(path.relative_to(data_dir)): path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}


def test_a_network_says_what_it_was_built_from(town: Path) -> None:
    found = network.current(town)
    assert found is not None
    assert (found.profile, found.bounds) == ("cargo_bike", BOUNDS)
    assert found.dataset.startswith("osrm cargo_bike ")
    assert found.data_date[:2] == "20"
    assert network.data_file(town, found).with_suffix(".osrm.hsgr").is_file()


def test_the_same_extract_again_is_the_same_dataset_and_another_is_not(town: Path, tmp_path: Path) -> None:
    before = network.current(town)
    again = import_network(write_town(tmp_path / "town.osm"), town, BOUNDS)
    other = import_network(write_town(tmp_path / "town.osm", bridge=True), town, BOUNDS)
    assert before is not None
    assert before.dataset == again.dataset != other.dataset
    assert len({before.name, again.name, other.name}) == 3


def test_the_network_before_is_kept_and_older_ones_are_not(town: Path, tmp_path: Path) -> None:
    extract = write_town(tmp_path / "town.osm")
    second, third = import_network(extract, town, BOUNDS), import_network(extract, town, BOUNDS)
    assert {path.name for path in (town / "network").iterdir()} == {second.name, third.name, "current.json"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broken.osm.pbf", "no map at all"),
        ("empty.osm.pbf", ""),
        ("none.osm", '<?xml version="1.0"?><osm version="0.6"></osm>'),
        ("cut.osm", '<?xml version="1.0"?><osm version="0.6"><node id="1" version="1" lat="47.2" '),
        (
            "motorway.osm",
            '<?xml version="1.0"?><osm version="0.6"><node id="1" version="1" lat="47.2" lon="-1.5"/>'
            '<node id="2" version="1" lat="47.3" lon="-1.5"/>'
            '<way id="1" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="motorway"/></way></osm>',
        ),
    ],
)
def test_what_no_bike_can_ride_on_is_named_and_changes_nothing(
    town: Path, tmp_path: Path, name: str, text: str
) -> None:
    before = content(town)
    (tmp_path / name).write_text(text)
    with pytest.raises(NetworkNotBuilt, match=rf"Les rues de {name} .* rien n'a changé") as refused:
        import_network(tmp_path / name, town, BOUNDS)
    assert "\n" not in refused.value.detail
    assert "aucun trajet" not in refused.value.detail  # told by the tool that failed, not by the trial afterwards
    assert content(town) == before
    assert [path.name for path in (town / "network").iterdir() if path.name.startswith(".")] == []


def test_two_imports_at_once_leave_the_later_one_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract = tmp_path / "ville.osm.pbf"
    extract.write_bytes(b"streets")
    (tmp_path / "network").mkdir()
    others = list[Future[network.Network]]()

    def switched(name: str) -> network.Network:
        folder = tmp_path / name
        folder.mkdir()
        (folder / network.FILE).touch()
        return network.put_in_force(folder, extract, tmp_path, BOUNDS, "2026-11-24")

    with ThreadPoolExecutor(1) as threads:

        def told_while_another_begins(one: network.Network) -> object:
            if not others:
                others.append(threads.submit(switched, "second"))
                wait(others, timeout=0.3)
            return asdict(one)

        monkeypatch.setattr(network, "asdict", told_while_another_begins)
        switched("first")
    in_force = network.current(tmp_path)
    assert in_force == others[0].result()
    assert network.data_file(tmp_path, in_force).exists()


def test_a_network_on_which_nothing_can_be_ridden_is_not_put_in_force(town: Path, tmp_path: Path) -> None:
    before = content(town)
    extract = write_town(tmp_path / "town.osm")
    nowhere = (10.0, 10.0, 10.001, 10.001)  # all sixteen points are put on one spot
    with pytest.raises(NetworkNotBuilt, match="aucun trajet à vélo"):
        import_network(extract, town, nowhere)
    assert content(town) == before


def test_a_tool_that_cannot_be_run_is_told(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_LONGEST_BUILD_SECONDS", 0.001)
    before = content(town)
    with pytest.raises(NetworkNotBuilt, match="rien n'a changé"):
        import_network(write_town(tmp_path / "town.osm"), town, BOUNDS)
    assert content(town) == before


def test_what_a_killed_build_left_is_swept(town: Path, tmp_path: Path) -> None:
    old, young = town / "network" / ".building-old", town / "network" / ".building-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    import_network(write_town(tmp_path / "town.osm"), town, BOUNDS)
    assert not old.exists()
    assert young.exists()


# -- tournee city import -----------------------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    """Run the command line in this process; return its exit code."""
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert isinstance(done.value.code, int)
    return done.value.code


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_command_says_so_where_a_server_tells_travel_times(
    osrm: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPATCH_TRAVEL_URL", "osrm+http://127.0.0.1:9")
    assert run("city", "import", str(write_town(tmp_path / "town.osm"))) == 0
    assert "rides follow the server named by DISPATCH_TRAVEL_URL" in capsys.readouterr().out
    assert network.current(data_dir) is not None


def test_the_command_switches_map_and_travel_times(
    osrm: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("city", "import", str(write_town(tmp_path / "town.osm"))) == 0
    said = capsys.readouterr().out
    assert "streets" in said
    assert "rides follow these streets" in said
    found = network.current(data_dir)
    assert found is not None
    assert found.bounds == pytest.approx(BOUNDS, abs=0.01)
    before = content(data_dir)
    (tmp_path / "broken.osm.pbf").write_text("no map at all")
    assert run("city", "import", str(tmp_path / "broken.osm.pbf")) == 2
    assert "broken.osm.pbf" in capsys.readouterr().err
    assert content(data_dir) == before


def test_streets_that_no_bike_can_ride_on_keep_the_map_too(
    osrm: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("city", "import", str(write_town(tmp_path / "town.osm"))) == 0
    before = content(data_dir)
    motorway = write_town(tmp_path / "motorways.osm")
    ways = {"residential": "motorway", "path": "motorway", "steps": "motorway"}
    text = motorway.read_text()
    for kind, instead in ways.items():
        text = text.replace(f'v="{kind}"', f'v="{instead}"')
    motorway.write_text(text)
    assert run("city", "import", str(motorway)) == 2
    assert "rien n'a changé" in capsys.readouterr().err
    assert content(data_dir) == before


def test_without_osrm_the_map_is_there_and_what_to_do_is_said(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "osrm", None)  # what Python 3.11 sees
    assert run("city", "import", str(write_town(tmp_path / "town.osm"))) == 0
    said = capsys.readouterr().out
    assert "travel times stay estimated" in said
    assert "Python 3.12" in said
    assert "DISPATCH_TRAVEL_URL" in said
    assert streets_file(data_dir).is_file()
    assert not (data_dir / "network").exists()
    with pytest.raises(NetworkNotBuilt, match=r"Python 3\.12"):
        import_network(tmp_path / "town.osm", data_dir, BOUNDS)
