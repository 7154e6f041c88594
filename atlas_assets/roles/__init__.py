"""What each role does with plates: prepare one, measure a batch, compare the result with the spec.

Also the groundwork, which the CPU measures of every plate without a model. `works.py` lists the class of each role. No
Dagster; no model is loaded and no result is sealed here.
"""
