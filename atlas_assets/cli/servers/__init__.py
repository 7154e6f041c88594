"""`atlas models serve`, `servers` and `probe`: programs that serve models, and servers that somebody else runs."""
