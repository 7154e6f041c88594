"""Writes specs from what a hub states: a new one for a model, or what an existing one lacks.

Nothing is guessed. What a family of models always has is in `families.py`.
"""
