from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HouseSettings, NoSecretKey, ServiceSettings


class LibrarySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LIBRARY_")

    shelves: int = 3


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOURNEE_SECRET_KEY", "TOURNEE_ZONE", "LIBRARY_DATABASE_URL", "LIBRARY_DATA_DIR", "LIBRARY_SHELVES"):
        monkeypatch.delenv(name, raising=False)


def test_a_service_has_a_database_and_a_folder_of_its_own() -> None:
    settings = LibrarySettings()
    assert settings.database_url == "sqlite:///var/library.db"
    assert settings.data_dir == Path("var/library")


def test_a_service_is_set_by_its_own_prefix_and_the_houses_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBRARY_DATABASE_URL", "postgresql+psycopg://library@db/library")
    monkeypatch.setenv("LIBRARY_SHELVES", "7")
    monkeypatch.setenv("TOURNEE_ZONE", "America/Martinique")
    settings = LibrarySettings()
    assert settings.database_url == "postgresql+psycopg://library@db/library"
    assert settings.shelves == 7
    assert settings.zone == HouseSettings().zone == "America/Martinique"


def test_a_zone_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOURNEE_ZONE", "Mars/Olympus")
    with pytest.raises(ValidationError, match="no time zone is called"):
        HouseSettings()
    with pytest.raises(ValidationError, match="no time zone is called"):
        LibrarySettings()


def test_settings_without_a_prefix_would_be_everybodys() -> None:
    with pytest.raises(ValidationError, match="env_prefix"):
        ServiceSettings()


def test_there_is_no_default_key_and_no_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSecretKey, match="TOURNEE_SECRET_KEY"):
        HouseSettings().signing_key()
    monkeypatch.setenv("TOURNEE_SECRET_KEY", "changeme")
    with pytest.raises(NoSecretKey):
        HouseSettings().signing_key()
    monkeypatch.setenv("TOURNEE_SECRET_KEY", "x" * 32)
    assert HouseSettings().signing_key() == "x" * 32
    assert "xxxx" not in repr(HouseSettings())
