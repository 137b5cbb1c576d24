"""What an operator may set for dispatch, by `DISPATCH_...` in the environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class DispatchSettings(ServiceSettings):
    """Dispatch's settings."""

    model_config = SettingsConfigDict(env_prefix="DISPATCH_")

    plan_seconds: float = Field(default=10, gt=0, le=600)
    """How long a plan is computed when whoever asks does not say."""
    poll_seconds: int = Field(default=15, ge=5, le=600)
    """What a courier's phone is told to wait between two polls."""
    lapse_hours: float = Field(default=24, ge=0, le=24 * 31)
    """How long after its day a delivery that nobody rode waits for a late report before it lapses."""
    proof_bytes: int = Field(default=5_000_000, ge=100_000, le=50_000_000)
    """The largest photo taken."""
