"""Whether the files of a dataset are those that were registered, sealed and built, and what is there besides.

Reads, hashes and compares; changes nothing. How to fix what is found is said with each finding.
"""
