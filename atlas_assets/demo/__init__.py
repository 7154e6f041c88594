"""The demo: drawn plates with known contents, taken through the whole graph and reported.

Drawing code belongs in `drawing`; nothing outside the demo imports that.
"""
