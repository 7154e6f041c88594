"""Loaders of scorers: an image or a vector is scored by labels (`score`)."""
