"""Xingliu runs an AI cloud, from bare servers to the income statement."""

__version__ = "0.1.0"
