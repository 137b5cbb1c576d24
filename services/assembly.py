"""Names and settings -> one app; the only room that knows all three services."""
