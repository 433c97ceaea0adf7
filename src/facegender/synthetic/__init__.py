"""The synthetic data set: faces in CelebA's format."""
