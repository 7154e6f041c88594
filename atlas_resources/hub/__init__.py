"""The only room that talks to a model hub: drafting specs from a hub's facts, and fetching pinned weights.

Nothing here is called by a run.
"""
