"""Masks: run-length coding, shape, overlap, outlines and pruning, and what is measured of the pixels inside one."""
