"""Spec, workload, role, replica, attempt, lease and their states; see README.md."""
