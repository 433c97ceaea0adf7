"""What the pipeline costs: scripts that print Markdown tables."""
