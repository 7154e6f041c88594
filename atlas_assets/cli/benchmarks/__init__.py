"""`atlas models bench`: measuring how fast an instrument answers."""
