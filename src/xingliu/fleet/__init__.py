"""Nodes, their devices, flavors, pools and topology; see README.md."""
