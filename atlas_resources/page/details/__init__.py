"""What the page shows of a plate that was opened, read from the catalogue for many plates at a time."""
