"""Contracts, ceilings, holds, charges and statements."""
