"""Masks: run-length coding, shape, overlap, outlines, pruning rules, and the pixels inside them."""
