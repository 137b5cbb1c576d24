"""The tree: its top level as drawn, a kit that knows no word of the field, nothing that binds it to a machine."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.servers.parts import PROJECT

TOP_LEVEL = {
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "requirements.lock"),
    *(".gitignore", ".pre-commit-config.yaml", "docker-compose.yml", ".ci"),
    *("docs", "proto", "deploy", "services", "tests", "bench"),
}

# Words that a courier, a dispatcher or a clerk would recognise and that mean nothing else in a program.
WORDS_OF_THE_FIELD = re.compile(
    r"\b(couriers?|coursi[eè]re?s?|cooperatives?|coopératives?|departments?|invoices?|factures?|ceilings?|plafonds?"
    r"|livraisons?|pickups?|bikes?|vélos?|trailers?|remorques?|prices?|bordereaux?|parcels?|rounds|tournées)\b",
    re.IGNORECASE,
)
# It says in its first sentence what the kit is not.
MAY_SAY_WHAT_IT_IS_NOT = PROJECT / "services/kit/__init__.py"

PATHS_OF_A_MACHINE = re.compile(r"/(?:root|work|Users|home)/\w|[A-Z]:\\Users\\")


def files_of_the_project(under: str = ".") -> list[Path]:
    """Return the files that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", under],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := PROJECT / name).is_file()]


def words_of_the_field(text: str) -> list[str]:
    """Return those in a text, also inside names such as `courier_id` or `CourierAway`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ")
    return [word[0] for word in WORDS_OF_THE_FIELD.finditer(spaced)]


def test_the_top_level_is_as_drawn() -> None:
    assert {path.relative_to(PROJECT).parts[0] for path in files_of_the_project()} == TOP_LEVEL


def test_the_kit_knows_no_word_of_the_field() -> None:
    found = [
        f"{path.relative_to(PROJECT)}: {word}"
        for path in files_of_the_project("services/kit")
        if path != MAY_SAY_WHAT_IT_IS_NOT
        for word in words_of_the_field(f"{path.name}\n{path.read_text(encoding='utf-8')}")
    ]
    assert found == []


@pytest.mark.parametrize("text", ["class CourierAway", "courier_id: str", "Le coursier arrive", "list of invoices"])
def test_a_word_of_the_field_would_be_seen(text: str) -> None:
    assert words_of_the_field(text)


def test_nothing_names_a_place_on_somebodys_machine() -> None:
    found = []
    for path in files_of_the_project():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(PROJECT)}: {place[0]}" for place in PATHS_OF_A_MACHINE.finditer(text)]
    assert found == []


def test_the_locks_name_no_host() -> None:
    assert "://" not in (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    for lock in files_of_the_project("deploy"):
        if lock.name == "package-lock.json":
            assert '"resolved"' not in lock.read_text(encoding="utf-8"), lock


def test_everything_locked_is_checked_by_hash() -> None:
    for entry in re.split(r"\n(?=\S)", (PROJECT / "requirements.lock").read_text(encoding="utf-8").strip()):
        assert "--hash=sha256:" in entry, entry
