"""Loaders of models that write about an image (`describe`)."""
