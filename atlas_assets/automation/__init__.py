"""Which runs to request: sensors and the nightly schedule, new scans, backfills, saved selections.

A new sensor goes into `sensors.py`, or into a module of its own that `build_automation` there lists. `standings` reads
which plates are done, failed or missing, `work_lists` turns that into few runs, `under_way` leaves out what runs in
progress will make. What a run does belongs in `graph`.
"""
