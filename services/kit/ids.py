"""Identifiers: UUIDv7 in text form, so that they sort by age."""

import re

import uuid_utils

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a fresh UUIDv7 in text form."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Return whether `text` has the form of an identifier (any UUID version, lower case)."""
    return _FORM.fullmatch(text) is not None
