"""What may be done with a plate, as its index states it: licence, rights statement, attribution, and no-AI tags.

Texts are understood here and nowhere else. Which rows follow from them is decided in `ledgers`.
"""
