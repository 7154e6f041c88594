"""One pass over plates for several jobs, instruments and groundwork, with one decode of each plate.

What a job measures, and how a run of an instrument is opened and reported, does not belong here.
"""
