"""Loaders of detectors: labelled boxes in an image (`detect`)."""
