"""Charts as text: inline SVG from numbers; see README.md."""
