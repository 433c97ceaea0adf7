"""What Git and DVC know: revisions, released models and the gate."""
