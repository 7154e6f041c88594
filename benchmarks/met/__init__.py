"""mteb's retrieval of the Met's artworks, by an instrument's own weights and preprocessing."""
