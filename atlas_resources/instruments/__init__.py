"""Which instruments there are, whether each may run, and what it is known by.

Reads `model_specs/`. Loading a model belongs in `models`.
"""
