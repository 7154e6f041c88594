"""A plate on disk: its folder, its JSON files, and the decoding of its source, the scan it was registered from.

Registering scans, and refusing them, is in `intake`. Nothing is measured here, and no sealed result is read or written.
"""
