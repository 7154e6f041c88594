"""Tables of what the vectors of several instruments say about each other: columns, types and meanings."""
