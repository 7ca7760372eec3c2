"""What the ports stand on: one folder or file an engine."""
