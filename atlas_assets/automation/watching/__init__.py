"""Sensors that watch and request nothing: the library's metrics, and messages about failed runs and checks.

All are off unless switched on. What runs count, and how a message is sent, belongs in `atlas_resources.watching`.
"""
