"""The Dagster project: assets, checks, automation, the `atlas` command, the demo.

Imports `atlas_resources` and is never imported by it. A room is a folder or a module with one purpose; each imports
only rooms that come later in this list: cli, demo, in_process, definitions, automation, graph, roles, ui. The folder
`project` has settings files and no code. See docs/architecture.md.
"""
