"""What was withdrawn for rights or error, and restored: an append-only log, and what is withdrawn by it at present.

What follows for results, tables and exports is decided in the rooms above.
"""
