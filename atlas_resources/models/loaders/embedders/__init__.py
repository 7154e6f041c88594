"""Loaders of embedders: an image becomes a vector (`embed`)."""
