"""What is asked for without a person at the page: sensors, the nightly schedule, backfills, saved selections.

Runs are requested here. What a run does belongs in `graph`.
"""
