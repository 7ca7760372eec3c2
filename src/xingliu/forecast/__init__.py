"""The fleet and its queue advanced in virtual time; see README.md."""
