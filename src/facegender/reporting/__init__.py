"""Output for people: pictures (PNG), charts (SVG), the report, and the cost of each stage."""
