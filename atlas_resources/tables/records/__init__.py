"""Tables of what is recorded beside the plates: columns, types and meanings."""
