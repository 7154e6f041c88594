"""Parameters of loaders, where a family has more than a few: each is the schema of a spec's `parameters`.

The families themselves are in `loader_table`.
"""
