"""What the pipeline costs: scripts that print Markdown tables."""

from facegender.network.startup import configure_tensorflow

# As in the stages and commands.
configure_tensorflow()
