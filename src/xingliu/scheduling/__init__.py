"""Who runs where, and why the others wait; see README.md."""
