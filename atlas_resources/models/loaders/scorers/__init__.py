"""Loaders of scorers, the models of the role `probe`: an image or a vector is scored by labels (`score`)."""
