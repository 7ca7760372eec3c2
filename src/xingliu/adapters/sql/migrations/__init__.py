"""How stores got to today's tables, one file a step, forward only."""
