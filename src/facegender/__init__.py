"""Learn the CelebA attribute `Male` from aligned face photographs."""
