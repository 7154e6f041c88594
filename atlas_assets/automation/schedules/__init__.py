"""Schedules of work that nobody waits for: verification at night, and in full once a month.

What measures missing plates is requested by the sensors and their nightly schedule.
"""
