"""Whose couriers, bikes, shifts and rounds a caller may see and change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reach:
    """One cooperative's things, or with None those of every cooperative. No cooperative has an empty id."""

    cooperative_id: str | None

    @property
    def is_everything(self) -> bool:
        """Whether every cooperative is within reach."""
        return self.cooperative_id is None

    def covers(self, cooperative_id: str) -> bool:
        """Return whether this cooperative's things are within reach; what is none's is the administration's alone."""
        return self.cooperative_id is None or self.cooperative_id == cooperative_id != ""


EVERYTHING = Reach(None)
NOTHING = Reach("")
