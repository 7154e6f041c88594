"""The page: one folder of static files that a curator opens from disk, made from the catalogue.

What draws it is built from `web/`. Nothing here computes a measurement.
"""
