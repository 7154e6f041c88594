"""The catalogue as the library stood when a snapshot was created: its tables then, under today's views and macros.

Nothing is written. What no file of the library tells any more is null or absent, and is named in a warning.
"""
