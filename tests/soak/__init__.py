"""The app and batch prediction under load."""
