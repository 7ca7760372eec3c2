"""One file a noun: load, one pure call, record, act; the ports it needs; no policy. See README.md."""
