"""Whole aggregates in and out of dispatch's database. Rows are locked deliveries first, then rounds, both in order."""
