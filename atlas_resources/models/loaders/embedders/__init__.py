"""Loaders whose models turn a picture into a vector: `embed`."""
