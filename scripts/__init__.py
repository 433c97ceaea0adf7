"""Programs beside the pipeline, for maintainers and CI."""
