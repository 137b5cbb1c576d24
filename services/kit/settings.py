"""Environment -> settings: one prefix per service, and `TOURNEE_` for what the whole house shares."""

from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_KEY_CHARACTERS = 32


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone is called {name!r}") from error
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
"""The IANA name of a time zone."""


class ServiceSettings(BaseSettings):
    """What every service needs; a service's own settings inherit from it and give the prefix.

    `class NotesSettings(ServiceSettings): model_config = SettingsConfigDict(env_prefix="NOTES_")` reads
    `NOTES_DATABASE_URL` (default `sqlite:///var/notes.db`) and `NOTES_DATA_DIR` (default `var/notes`).
    """

    model_config = SettingsConfigDict(extra="forbid", populate_by_name=True)

    database_url: str = ""
    data_dir: Path = Path()
    zone: Zone = Field(default="Europe/Paris", validation_alias=AliasChoices("zone", "TOURNEE_ZONE"))
    """IANA name of the city's time zone, the same for the whole house."""

    @model_validator(mode="after")
    def _name_defaults(self) -> Self:
        name = self.model_config.get("env_prefix", "").rstrip("_").lower()
        if not name:
            raise ValueError("a service's settings need an env_prefix, for example NOTES_")
        if not self.database_url:
            self.database_url = f"sqlite:///var/{name}.db"
        if self.data_dir == Path():
            self.data_dir = Path("var") / name
        return self


class HouseSettings(BaseSettings):
    """What the services of one house share: the bus, the key, the accounts, the limits of the HTTP edge."""

    model_config = SettingsConfigDict(env_prefix="TOURNEE_", extra="forbid")

    bus_url: str = "sqlite:///var/log.db"
    """`sqlite:///PATH` for the embedded log, `kafka://HOST:PORT[,HOST:PORT]` for Kafka."""
    secret_key: SecretStr = SecretStr("")
    """Signs sessions and access tokens; at least 32 characters, the same for every service. There is no default."""
    accounts: Path = Path("var/accounts.json")
    demo: bool = False
    topic_prefix: str = ""
    zone: Zone = "Europe/Paris"
    session_hours: float = Field(default=12, gt=0, le=24 * 31)
    token_seconds: int = Field(default=900, ge=30, le=86_400)
    max_body_bytes: int = Field(default=1 << 20, ge=1024)
    requests_per_second: float = Field(default=50, gt=0)
    """How fast one caller's allowance refills; see `burst_requests`."""
    burst_requests: int = Field(default=500, ge=1)
    insecure_cookies: bool = False
    """Send the session cookie over plain HTTP too. A demo house and loopback addresses do so anyway."""

    def signing_key(self) -> str:
        """Return the key. Raises `NoSecretKey` when it is absent or too short to be a secret."""
        key = self.secret_key.get_secret_value()
        if len(key) < MIN_KEY_CHARACTERS:
            raise NoSecretKey(
                f"TOURNEE_SECRET_KEY must be set to at least {MIN_KEY_CHARACTERS} random characters, the same for "
                'every service; make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        return key


class NoSecretKey(ValueError):
    """The house would have to sign sessions with a guessable key; it does not start."""
