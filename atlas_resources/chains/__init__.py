"""Append-only logs of what people decide: entries as JSON files in a chain of digests, and who enters them.

What an entry says and what follows from it is decided in the rooms above.
"""
