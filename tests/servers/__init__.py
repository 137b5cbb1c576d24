"""The real servers that tests and measurements run against: Kafka, PostgreSQL, Chromium; found, or fetched and started.

Each is a context manager that works without pytest too. One that cannot be had raises `parts.Unavailable`.
"""
