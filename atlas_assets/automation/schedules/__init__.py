"""Schedules of checks: verification every night and in full every month, and a sample of results measured again.

What measures missing plates is requested by the sensors and their nightly schedule.
"""
