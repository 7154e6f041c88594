"""Draws plates: paper, pen, motifs, subjects, lettering, and the press that combines them.

Pixels only: no files, no dataset, no Dagster. Only the demo imports it.
"""
