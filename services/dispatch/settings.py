"""What an operator may set for dispatch, by `DISPATCH_...` in the environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class DispatchSettings(ServiceSettings):
    """Dispatch's settings."""

    model_config = SettingsConfigDict(env_prefix="DISPATCH_")

    plan_seconds: float = Field(default=10, gt=0, le=600)
    """How long a plan is computed when whoever asks does not say."""
    plan_processes: int = Field(default=1, ge=1, le=64)
    """How many processes of dispatch, on machines with as many cores as this one, search a big day together. More than
    one need a bus that reaches them all: with the embedded log, processes of one machine."""
    replan_seconds: float = Field(default=2, gt=0, le=60)
    """How long a better change than insertion is looked for when a published day is readjusted; somebody waits."""
    poll_seconds: int = Field(default=15, ge=5, le=600)
    """What a courier's phone is told to wait between two polls."""
    lapse_hours: float = Field(default=24, ge=0, le=24 * 31)
    """How long after its day a delivery that nobody rode waits for a late report before it lapses."""
    proof_bytes: int = Field(default=5_000_000, ge=100_000, le=50_000_000)
    """The largest photo taken."""
    travel_url: str = Field(default="", pattern=r"^((osrm|valhalla)\+https?://\S+)?$")
    """A server to ask for travel times, `osrm+http://HOST:PORT` or `valhalla+http://HOST:PORT`; without one the streets
    of `tournee city import`, and estimates where there are none."""
