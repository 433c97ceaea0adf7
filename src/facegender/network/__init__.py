"""InceptionV3: its trunk and tail, features, training and the model file."""
