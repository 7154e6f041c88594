"""What the graph works with: plates, instruments, models, runs, ledgers and the catalogue.

Never imports `atlas_assets`. Rooms, highest first: export and catalogue, ledgers, runs, hub, models, tables, plates,
instruments, measures and files. `docs/architecture.md` draws them.
"""
