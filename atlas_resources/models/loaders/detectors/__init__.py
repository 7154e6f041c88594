"""Loaders whose models find labelled boxes in a picture: `detect`."""
