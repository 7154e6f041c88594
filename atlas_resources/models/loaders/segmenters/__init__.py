"""Loaders of segmenters: masks in an image (`segment`)."""
