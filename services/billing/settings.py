"""Billing's settings, from the environment: `BILLING_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class BillingSettings(ServiceSettings):
    """Where billing keeps its data, and when it closes months by itself."""

    model_config = SettingsConfigDict(env_prefix="BILLING_", extra="forbid", populate_by_name=True)

    closing_delay_days: int = Field(default=5, ge=0, le=27)
    """How many days after a month's end the schedule closes it, so that late reports still find it open."""
    closing_every_seconds: float = Field(default=3600, gt=0)
    printing_every_seconds: float = Field(default=60, gt=0)
    expiry_days: int = Field(default=60, ge=7)
    """How many days after its day a hold is given back when dispatch never said what became of it.

    Dispatch lets what nobody rode lapse within days: a hold as old as this lost its fact on the way."""
    tidying_every_seconds: float = Field(default=3600, gt=0)
