"""People's own pictures and labels, laid out as CelebA's."""
