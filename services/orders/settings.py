"""Environment -> settings of the orders service, prefix `ORDERS_`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class OrdersSettings(ServiceSettings):
    """What can be set about orders."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_", extra="forbid", populate_by_name=True)

    horizon_days: int = Field(default=35, ge=1, le=400)
    """How far ahead occurrences exist as real orders."""
    generate_every_seconds: float = Field(default=300, gt=0)
    contacts_kept_days: int = Field(default=365, ge=1)
    """How long after its last day an order keeps the contact persons of its sites."""
