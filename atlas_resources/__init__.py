"""What the graph works with: plates, instruments, models, runs, ledgers and the catalogue.

Never imports `atlas_assets`. A room is a folder or a module with one purpose; each imports only rooms that come later
in this list: resources, run_launcher and event_storage (Dagster loads them by name), export and catalogue, ledgers,
runs, hub, models, tables, plates, instruments, measures and files. See docs/architecture.md.
"""
