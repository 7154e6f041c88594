"""`atlas similar` and `atlas compare`: a picture beside the library, and one encoder beside another.

What is computed here is shown and not kept. The statistics are pure functions in `measures.spaces`.
"""
