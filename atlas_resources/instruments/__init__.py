"""Which instruments there are, whether each may run, and the identity and fingerprint of each.

Reads the specs of `model_specs/`. `loader_table.py` lists the families of models with their versions and parameters;
the loaders themselves belong in `models`.
"""
