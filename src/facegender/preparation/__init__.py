"""From raw data to training images: exploration, partition, preprocessing and augmentation."""
