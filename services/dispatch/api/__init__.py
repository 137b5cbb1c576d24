"""Dispatch over HTTP."""
