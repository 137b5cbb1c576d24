"""Departments' sites and requests; dated orders come out of them."""
