"""An index of scans: reading the file, understanding its columns, and finding the file that is the index.

`reading` and `table` know no field of a plate, `columns` and `rows` no folder. Opens no image and writes nothing.
"""
