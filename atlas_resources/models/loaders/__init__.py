"""One module for each family of networks: `load(spec, weights, device)` returns an object with one verb.

No files are read but the pinned weights, and no connection is opened.
"""
