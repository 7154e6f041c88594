"""The `atlas` command: functions that call the rooms below, all registered in `app.py`.

Nothing is measured, stored or decided here. Imports are inside the functions, so `--help` is quick.
"""
