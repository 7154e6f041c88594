"""The Dagster project: assets, checks, automation, the `atlas` command, the demo.

Imports `atlas_resources` and is never imported by it. Rooms, highest first: cli, demo, in_process, definitions,
automation, graph, roles, ui. `docs/architecture.md` draws them.
"""
