"""What is materialised, and when. `definitions.py` assembles; nothing here holds state."""
