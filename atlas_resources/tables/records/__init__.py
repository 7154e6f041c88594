"""Tables of what people decided about the library. What was measured is in the tables beside this room.

Each has the name of the folder that its rows are read from.
"""
