"""Replicas on this machine: sandboxes, cgroups, shims and what they leave behind; see README.md."""
