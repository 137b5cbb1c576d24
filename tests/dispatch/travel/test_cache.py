"""What was asked once is known: exactly, over restarts, within bounds; and losing it costs time only."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.travel.cache import NO_WAY, UNKNOWN, Keys, RideCache, keys_of, points_of

coordinates = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
blocks = st.tuples(
    st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True),
    st.integers(NO_WAY, 5_000),
)


def keys(*numbers: int) -> Keys:
    return np.array(sorted(numbers), dtype=np.int64)


def filled(shape: tuple[int, int], value: int) -> np.ndarray:
    return np.full(shape, value, dtype=np.int32)


@given(st.lists(coordinates, min_size=1, max_size=10))
def test_a_key_stands_for_the_point_to_half_a_hundred_thousandth(points: list[tuple[float, float]]) -> None:
    degrees = np.array(points)
    found = points_of(keys_of(degrees))
    assert np.abs(found - degrees).max() <= 0.5e-5 + 1e-9
    assert (keys_of(found) == keys_of(degrees)).all()


@settings(deadline=None, max_examples=25)
@given(st.lists(blocks, max_size=6), st.integers(0, 6))
def test_the_last_answer_stands_and_what_was_never_asked_is_unknown(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[list[int], list[int], int]], restart_before: int
) -> None:
    file = tmp_path_factory.mktemp("cache") / "rides.db"
    cache = RideCache(file)
    expected = filled((10, 10), UNKNOWN)
    for number, (sources, targets, value) in enumerate(written):
        if number == restart_before:
            cache = RideCache(file)
        rows, columns = keys(*sources), keys(*targets)
        cache.read("streets", rows, columns)
        cache.write(
            "streets", rows, columns, filled((len(rows), len(columns)), value), filled((len(rows), len(columns)), value)
        )
        expected[np.ix_(rows, columns)] = value
    everything = keys(*range(10))
    for reader in (cache, RideCache(file)):
        seconds, metres = reader.read("streets", everything, everything)
        assert (seconds == expected).all()
        assert (metres == expected).all()


def test_other_streets_know_nothing_of_these(tmp_path: Path) -> None:
    cache = RideCache(tmp_path / "rides.db")
    cache.write("old", keys(1), keys(2), filled((1, 1), 7), filled((1, 1), 7))
    assert cache.read("new", keys(1), keys(2))[0].item() == UNKNOWN
    assert cache.read("old", keys(1), keys(2))[0].item() == 7
    cache.write("new", keys(1), keys(2), filled((1, 1), 8), filled((1, 1), 8))
    assert cache.read("old", keys(1), keys(2))[0].item() == UNKNOWN  # its rides are gone from the file too
    assert cache.read("new", keys(1), keys(2))[0].item() == 8


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    cache = RideCache(largest_cells=30)
    targets = keys(*range(10))
    for source in (1, 2, 3):
        cache.write("streets", keys(source), targets, filled((1, 10), source), filled((1, 10), source))
    cache.read("streets", keys(1), targets)
    cache.write("streets", keys(4), targets, filled((1, 10), 4), filled((1, 10), 4))
    known = [cache.read("streets", keys(source), targets)[0][0, 0] for source in (1, 2, 3, 4)]
    assert known == [1, UNKNOWN, 3, 4]


@pytest.mark.parametrize("content", [b"no database at all, but long enough to look like one" * 100, b""])
def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "rides.db"
    file.write_bytes(content)
    cache = RideCache(file)
    for _ in range(2):
        cache.read("streets", keys(1), keys(2))
        cache.write("streets", keys(1), keys(2), filled((1, 1), 7), filled((1, 1), 7))
    assert RideCache(file).read("streets", keys(1), keys(2))[0].item() == 7


def test_a_folder_that_cannot_be_written_costs_the_memory_of_restarts_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "occupied").write_text("a file where the folder should be")
    cache = RideCache(tmp_path / "occupied" / "rides.db")
    cache.write("streets", keys(1), keys(2), filled((1, 1), 7), filled((1, 1), 7))
    assert cache.read("streets", keys(1), keys(2))[0].item() == 7
    assert "not kept over restarts" in caplog.text


def test_two_processes_may_share_the_file(tmp_path: Path) -> None:
    one, other = RideCache(tmp_path / "rides.db"), RideCache(tmp_path / "rides.db")
    one.write("streets", keys(1), keys(2), filled((1, 1), 7), filled((1, 1), 7))
    other.write("streets", keys(3), keys(2), filled((1, 1), 8), filled((1, 1), 8))
    assert one.read("streets", keys(1, 3), keys(2))[0].ravel().tolist() == [7, 8]
    with sqlite3.connect(tmp_path / "rides.db") as database:
        assert database.execute("SELECT count(*) FROM rides_from").fetchone() == (2,)


def test_the_file_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dispatch.travel.cache._LARGEST_FILE_BYTES", 200_000)
    cache = RideCache(tmp_path / "rides.db", largest_cells=2_000)
    targets = keys(*range(1_000))
    for source in range(60):
        cache.write("streets", keys(source), targets, filled((1, 1_000), source), filled((1, 1_000), source))
    cache.close()
    assert (tmp_path / "rides.db").stat().st_size < 600_000
    assert RideCache(tmp_path / "rides.db").read("streets", keys(59), targets)[0][0, 0] == 59
