"""What is derived from a segmenter's masks: kept segments, palettes, outlines, and an embedding or an
annotation of each segment."""
