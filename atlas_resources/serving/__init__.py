"""Starts programs that serve pinned models on this machine, probes what a server honours, and records both.

Asking a server is for `models`. Runs do not use this room.
"""
