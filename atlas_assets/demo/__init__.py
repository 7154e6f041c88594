"""The demo: drawn plates whose true contents are known, taken through the whole graph and reported.

How plates are drawn belongs in `drawing`; nothing outside the demo imports that.
"""
