"""What leaves the dataset: tables, what viewers of images open, and provenance, each in a room of its own.

Reads the dataset and writes only outside it. Every export leaves out what is withdrawn, and says what it leaves out.
"""
