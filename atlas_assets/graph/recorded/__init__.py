"""What Dagster's events say of each plate, compared with what the plates' own files say.

The check reports the differences; `in_process/repairing.py` repairs them.
"""
