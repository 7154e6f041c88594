"""The assets and their checks: plates, groundwork, instruments, ledgers, catalogue.

All use of Dagster's assets is here; `definitions.py` assembles them. An asset's body only connects rooms: measuring
belongs in `roles` and `runs`, requesting runs in `automation`.
"""
