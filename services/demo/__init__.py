"""A city's month played through the HTTP interfaces only."""
