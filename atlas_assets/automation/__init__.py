"""Which runs to request: sensors, the nightly schedule, backfills, saved selections.

Runs are only requested here. What a run does belongs in `graph`.
"""
