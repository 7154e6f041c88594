"""Pictures and text for the Dagster UI: small JPEG, PNG or Markdown, made from arrays and records.

Nothing is measured or stored here.
"""
