"""The planning engine: whole numbers in, whole numbers out; no storage, no web, no clock, no names of people."""
