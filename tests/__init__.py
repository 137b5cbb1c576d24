"""Tests: the same tree as the code, facts as names."""
