"""The town's network, built once; and what every test of travel may ask for."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.dispatch.travel import Roads, open_roads
from services.dispatch.travel.streets import import_network
from tests.dispatch.travel.town import BOUNDS, write_town


@pytest.fixture(scope="session")
def built_town(osrm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service's data folder with the town's network in force; copy it before you change it."""
    folder = tmp_path_factory.mktemp("town")
    import_network(write_town(folder / "town.osm"), folder / "data", BOUNDS)
    return folder / "data"


@pytest.fixture
def town(built_town: Path, tmp_path: Path) -> Path:
    """A data folder of the test's own, with the town's network in force."""
    return shutil.copytree(built_town, tmp_path / "data")


@pytest.fixture
def opened() -> Iterator[Callable[[str, Path], Roads]]:
    """Open roads that are stopped when the test is over."""
    made: list[Roads] = []

    def open_(url: str, data_dir: Path) -> Roads:
        made.append(open_roads(url, data_dir))
        return made[-1]

    yield open_
    for roads in made:
        roads.stop()
