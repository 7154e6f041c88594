"""What the page shows before a plate is opened: plates, spaces, and what the library has and lacks."""
