"""Wiring: reads settings, picks adapters, builds the object graph; the only room that knows both sides."""
