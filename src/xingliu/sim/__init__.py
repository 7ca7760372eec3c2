"""Faulty stand-ins for every port, from a seed; see README.md."""
