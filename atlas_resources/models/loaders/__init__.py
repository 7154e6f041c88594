"""A module for each family of networks: `load(spec, weights, device)` returns an object with the methods of its role.

A loader reads the pinned files and no others, and opens no connection.
"""
