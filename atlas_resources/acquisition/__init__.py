"""Fetching scans by the addresses of an index or a IIIF manifest, and registering each with its origin.

Only `atlas plates pull` comes here. The connections are those of `downloads`.
"""
