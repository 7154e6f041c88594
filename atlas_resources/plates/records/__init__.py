"""The JSON files of what is recorded beside the plates: named states of the library, repetitions of runs.

Files in a plate's folder or in a run's report do not belong here.
"""
