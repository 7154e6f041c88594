"""Registering scans: which files are scans, which row of an index describes each, and which plate it becomes.

Code that measures imports nothing from here.
"""
