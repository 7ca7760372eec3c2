"""Exact amounts of resource over time; see README.md."""
