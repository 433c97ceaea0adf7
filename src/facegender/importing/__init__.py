"""Import of people's own images and labels into CelebA's layout."""
