"""Loads the model of a spec: weights on disk, preprocessing, numeric modes, loaders.

The only room that imports torch. Whether an instrument may run is not decided here, and nothing is downloaded.
"""
