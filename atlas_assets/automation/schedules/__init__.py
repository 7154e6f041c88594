"""Schedules of checks: verification at night and in full once a month,
and a sample of results measured again.

What measures missing plates is requested by the sensors and their nightly schedule.
"""
