"""Couriers, plans, rounds and proofs; what became of each delivery."""
