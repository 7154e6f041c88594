"""A plate on disk: its folder, its JSON files, how it is registered, how its source is decoded.

What is measured of it belongs in `measures`, what instruments found on it in `runs`.
"""
