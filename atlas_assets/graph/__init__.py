"""The assets and their checks, one module for each kind, with bodies that read as a sentence.

Dagster starts here. How a plate is measured belongs in `roles`; when a run is requested, in `automation`.
"""
