"""A dataset whose truth is in a store, and the local folder that is a worker's copy of it.

Which keys there are, in which order they are written, and what is fetched. Verbs on bytes belong in `store`.
"""
