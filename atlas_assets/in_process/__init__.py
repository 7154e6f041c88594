"""Materialising assets in this process, for a terminal: layer after layer, with progress."""
