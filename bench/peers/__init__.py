"""The systems we are measured beside, started and stopped by the benches themselves."""
