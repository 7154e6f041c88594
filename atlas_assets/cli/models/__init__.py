"""`atlas models`: list, check, pull and pin instruments, and test their fast modes.

What an instrument is belongs in `atlas_resources.instruments`; talking to a hub in `atlas_resources.hub`.
"""
