"""Masks from a grid of points: one generator over the Segment Anything of two libraries, and how it computes."""
