"""Servers that answer for models: their records, which of them an instrument may ask, and their clients.

Programs are started in `serving`, never here.
"""
