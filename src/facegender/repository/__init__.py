"""What Git and DVC record: revisions, released models and the gate."""
