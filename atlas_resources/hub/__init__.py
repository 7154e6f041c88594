"""The only room that connects to a model hub: it drafts specs from what the hub states, and fetches pinned weights.

Runs do not use it.
"""
