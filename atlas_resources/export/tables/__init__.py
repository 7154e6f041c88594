"""Tables as other programs read them: Parquet with a Croissant description, SQLite, vectors with their plates."""
