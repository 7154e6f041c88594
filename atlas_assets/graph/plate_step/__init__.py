"""The step of every asset over plates: one event for each plate as it ends, a check, progress, and what failed.

What a plate's measurement is belongs in `roles`; the assets themselves are one floor up, in `graph`.
"""
