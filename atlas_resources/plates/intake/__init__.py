"""Registering scans: which files are taken, which row of an index each has, and which plate it becomes.

Nothing here is imported by code that measures.
"""
