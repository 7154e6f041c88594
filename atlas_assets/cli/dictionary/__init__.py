"""The data dictionary: what every column and field is called, its type, unit and meaning, and since which version.

No column is declared here: they are in `tables` and in the contracts of `plates`.
"""
