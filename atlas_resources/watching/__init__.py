"""How runs are watched: metrics for Prometheus, and sending a message to an address that a person has stated.

What is counted belongs in `runs` and `ledgers`; whom a failure is reported to, in `atlas_assets.automation.alerts`.
"""
