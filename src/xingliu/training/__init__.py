"""How a gang's attempt goes on, ends and begins again; see README.md."""
