"""The model on photographs: alignment, prediction, export and the app."""
