"""The JSON files of a dataset that people cause and that belong to no single plate, one frozen model each.

Reading and writing them, and what follows from them, is in the rooms that are named after them.
"""
