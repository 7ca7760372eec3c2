"""HTTP in, one control call, HTTP out; see README.md."""
