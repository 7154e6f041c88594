"""The step of every asset over plates: one event for each plate as it ends, a check, progress, what failed, and one
decode of each plate for the steps of a run.

What a plate's measurement is belongs in `roles`; the assets themselves are one floor up, in `graph`.
"""
