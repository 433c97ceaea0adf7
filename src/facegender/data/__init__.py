"""CelebA's lists and images, and the shards that hold them."""
