"""The checks of the ledgers and the library. The check of each plate is made with it, in `plate_step`."""
