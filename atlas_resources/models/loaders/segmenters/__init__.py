"""Loaders whose models find masks in a picture: `segment`."""
