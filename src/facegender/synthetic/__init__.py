"""The synthetic data set: faces drawn in CelebA's format."""
