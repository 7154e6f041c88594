"""What is derived from a segmenter's masks: kept segments, palettes, outlines, an embedding for each segment.

The rules themselves are pure functions in `atlas_resources.measures.masks`.
"""
