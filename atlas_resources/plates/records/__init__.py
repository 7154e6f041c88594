"""The JSON files of a dataset that describe the library as a whole, one frozen model each.

Files of one plate or of one run do not belong here.
"""
