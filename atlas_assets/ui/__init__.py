"""Pictures and text that people see in the Dagster UI.

From arrays and records in memory to small JPEG, PNG or Markdown. Nothing is measured or stored here.
"""
