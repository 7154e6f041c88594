"""Connects to a model hub, as the only room: drafts specs from what the hub states, and fetches pinned weights.

Runs do not use it.
"""
