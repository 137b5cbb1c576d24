"""The house as drawn: import rules and the tree."""
