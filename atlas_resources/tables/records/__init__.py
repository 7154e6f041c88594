"""Tables of what is recorded of the library as a whole: columns, types and meanings."""
