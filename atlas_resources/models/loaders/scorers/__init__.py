"""Loaders whose models score a picture or a vector against labels: `score`."""
